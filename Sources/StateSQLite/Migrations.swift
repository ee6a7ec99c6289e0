import GRDB

/// The numbered migrations, forward only. A released migration is never changed; a new one is appended.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("0001-first") { db in
            try db.execute(sql: first)
        }
        migrator.registerMigration("0002-event-state-approval-comment") { db in
            try db.execute(
                sql: "ALTER TABLE event ADD COLUMN state TEXT; ALTER TABLE approval ADD COLUMN comment TEXT;")
        }
        migrator.registerMigration("0003-access-token") { db in
            try db.execute(
                sql: """
                    CREATE TABLE accessToken (
                        name TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, pull TEXT NOT NULL, push TEXT NOT NULL,
                        createdBy TEXT NOT NULL, createdAt DOUBLE NOT NULL, expiresAt DOUBLE
                    );
                    """)
        }
        migrator.registerMigration("0004-reruns-retries-concurrency") { db in
            try db.execute(
                sql: """
                    ALTER TABLE run ADD COLUMN rerunOf INTEGER;
                    ALTER TABLE run ADD COLUMN concurrencyGroup TEXT;
                    ALTER TABLE run ADD COLUMN supersededBy INTEGER;
                    ALTER TABLE step ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
                    ALTER TABLE step ADD COLUMN takenFrom INTEGER;
                    CREATE INDEX runOfOriginal ON run(rerunOf) WHERE rerunOf IS NOT NULL;
                    CREATE INDEX runOpenOfGroup ON run(project, concurrencyGroup, id)
                        WHERE concurrencyGroup IS NOT NULL AND state IN ('queued', 'running');
                    """)
        }
        migrator.registerMigration("0005-outbox-reconciliation") { db in
            try db.execute(sql: outbox)
        }
        migrator.registerMigration("0006-several-servers") { db in
            try db.execute(
                sql: """
                    CREATE TABLE lease (
                        name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL, leaseExpiresAt DOUBLE NOT NULL
                    );
                    CREATE TABLE installation (
                        one INTEGER PRIMARY KEY CHECK (one = 1), folder TEXT NOT NULL, place TEXT NOT NULL, store TEXT NOT NULL
                    );
                    """)
        }
        migrator.registerMigration("0007-indexes-of-lists") { db in
            try db.execute(
                sql: """
                    CREATE INDEX deliveryOfProject ON delivery(project, id);
                    CREATE INDEX deliveryDue ON delivery(id) WHERE state = 'received';
                    CREATE INDEX releaseOfPipeline ON release(project, pipeline, id);
                    CREATE INDEX deploymentOfProject ON deployment(project, id);
                    CREATE INDEX deploymentOfRelease ON deployment("release", id);
                    CREATE INDEX deploymentLive ON deployment(project, pipeline, stage, id) WHERE phase = 'succeeded';
                    CREATE INDEX outboxOpen ON outboxMessage(id) WHERE state IN ('waiting', 'dead');
                    CREATE INDEX outboxOpenOfProject ON outboxMessage(project, id) WHERE state IN ('waiting', 'dead');
                    """)
        }
        migrator.registerMigration("0008-rollouts") { db in
            try db.execute(
                sql: """
                    ALTER TABLE deployment ADD COLUMN ended TEXT;
                    ALTER TABLE deployment ADD COLUMN rollout TEXT;
                    ALTER TABLE deployment ADD COLUMN report TEXT;
                    ALTER TABLE deployment ADD COLUMN cancelReason TEXT;
                    ALTER TABLE deployment ADD COLUMN resumedWave INTEGER;
                    ALTER TABLE deployment ADD COLUMN resumedBy TEXT;
                    """)
        }
        migrator.registerMigration("0009-governance") { db in
            try db.execute(sql: governance)
        }
        migrator.registerMigration("0011-jobs") { db in
            try db.execute(sql: jobs)
        }
        migrator.registerMigration("0012-trains") { db in
            try db.execute(
                sql: """
                    CREATE TABLE train (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
                        name TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, createdAt DOUBLE NOT NULL
                    );
                    ALTER TABLE deployment ADD COLUMN train INTEGER;
                    CREATE INDEX deploymentOfTrain ON deployment(train) WHERE train IS NOT NULL;
                    CREATE INDEX runOfCommit ON run(project, "commit", id);
                    """)
        }
        migrator.registerMigration("0013-scale") { db in
            try db.execute(
                sql: """
                    CREATE TABLE scale (
                        project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
                        pipeline TEXT NOT NULL, stage TEXT NOT NULL, replicas INTEGER NOT NULL, reason TEXT NOT NULL, at DOUBLE NOT NULL,
                        PRIMARY KEY (project, pipeline, stage)
                    );
                    """)
        }
        return migrator
    }

    private static let first = """
        CREATE TABLE project (
            name TEXT PRIMARY KEY, url TEXT NOT NULL, sealedSecret BLOB NOT NULL, createdAt DOUBLE NOT NULL
        );
        CREATE TABLE delivery (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            forge TEXT NOT NULL, forgeID TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
            event TEXT NOT NULL, branch TEXT, tag TEXT, "commit" TEXT, before TEXT,
            receivedAt DOUBLE NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
            nextAttemptAt DOUBLE NOT NULL, outcome TEXT,
            UNIQUE (project, forge, forgeID)
        );
        CREATE INDEX deliveryPending ON delivery(nextAttemptAt) WHERE state = 'received';
        CREATE TABLE run (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            pipeline TEXT NOT NULL, "trigger" TEXT NOT NULL, event TEXT NOT NULL, "commit" TEXT NOT NULL, branch TEXT,
            author TEXT NOT NULL, message TEXT NOT NULL, commitTime INTEGER NOT NULL,
            state TEXT NOT NULL, phase TEXT NOT NULL, plan TEXT, error TEXT, digest TEXT,
            cancelRequested INTEGER NOT NULL DEFAULT 0,
            epoch INTEGER NOT NULL DEFAULT 0, holder TEXT, leaseExpiresAt DOUBLE NOT NULL DEFAULT 0,
            createdAt DOUBLE NOT NULL, startedAt DOUBLE, finishedAt DOUBLE,
            UNIQUE (project, pipeline, "trigger")
        );
        CREATE INDEX runOpen ON run(id) WHERE state IN ('queued', 'running');
        CREATE INDEX runOfProject ON run(project, id);
        CREATE TABLE step (
            run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
            ordinal INTEGER NOT NULL, name TEXT NOT NULL, image TEXT NOT NULL, dependsOn TEXT NOT NULL,
            state TEXT NOT NULL, exitCode INTEGER, message TEXT, startedAt DOUBLE, finishedAt DOUBLE,
            PRIMARY KEY (run, name)
        );
        CREATE TABLE release (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            pipeline TEXT NOT NULL, run INTEGER NOT NULL UNIQUE REFERENCES run(id) ON DELETE CASCADE,
            "commit" TEXT NOT NULL, author TEXT NOT NULL, message TEXT NOT NULL,
            image TEXT NOT NULL, digest TEXT NOT NULL, service TEXT NOT NULL, stages TEXT NOT NULL,
            createdAt DOUBLE NOT NULL
        );
        CREATE INDEX releaseOfProject ON release(project, id);
        CREATE TABLE deployment (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            pipeline TEXT NOT NULL, stage TEXT NOT NULL,
            "release" INTEGER NOT NULL REFERENCES release(id) ON DELETE CASCADE,
            digest TEXT NOT NULL, phase TEXT NOT NULL, previous INTEGER, message TEXT, logTail TEXT,
            kind TEXT NOT NULL, requestedBy TEXT NOT NULL, approvalsNeeded INTEGER NOT NULL, expiresAt DOUBLE,
            epoch INTEGER NOT NULL DEFAULT 0, holder TEXT, leaseExpiresAt DOUBLE NOT NULL DEFAULT 0,
            createdAt DOUBLE NOT NULL, startedAt DOUBLE, finishedAt DOUBLE
        );
        CREATE INDEX deploymentOfStage ON deployment(project, pipeline, stage, id);
        CREATE INDEX deploymentOpen ON deployment(id)
            WHERE phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded');
        CREATE TABLE approval (
            deployment INTEGER NOT NULL REFERENCES deployment(id) ON DELETE CASCADE,
            actor TEXT NOT NULL, approved INTEGER NOT NULL, digest TEXT NOT NULL, at DOUBLE NOT NULL,
            PRIMARY KEY (deployment, actor)
        );
        CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at DOUBLE NOT NULL,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            run INTEGER, deployment INTEGER, actor TEXT NOT NULL, message TEXT NOT NULL
        );
        CREATE INDEX eventOfProject ON event(project, id);
        CREATE INDEX eventOfRun ON event(run) WHERE run IS NOT NULL;
        CREATE INDEX eventOfDeployment ON event(deployment) WHERE deployment IS NOT NULL;
        CREATE TABLE secret (
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            name TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (project, name)
        );
        """

    private static let outbox = """
        CREATE TABLE outboxTarget (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            kind TEXT NOT NULL, url TEXT NOT NULL, events TEXT NOT NULL, sealedSecret BLOB, tokenSecret TEXT,
            createdAt DOUBLE NOT NULL
        );
        CREATE INDEX outboxTargetOfProject ON outboxTarget(project);
        CREATE UNIQUE INDEX outboxForge ON outboxTarget(project) WHERE kind <> 'webhook';
        CREATE TABLE outboxMessage (
            id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            target INTEGER NOT NULL REFERENCES outboxTarget(id) ON DELETE CASCADE,
            topic TEXT, facts TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            nextAttemptAt DOUBLE NOT NULL, problem TEXT,
            epoch INTEGER NOT NULL DEFAULT 0, holder TEXT, leaseExpiresAt DOUBLE NOT NULL DEFAULT 0,
            createdAt DOUBLE NOT NULL, finishedAt DOUBLE
        );
        CREATE INDEX outboxWaiting ON outboxMessage(target, id) WHERE state = 'waiting';
        CREATE INDEX outboxTopic ON outboxMessage(target, topic, id) WHERE topic IS NOT NULL;
        CREATE INDEX outboxOfProject ON outboxMessage(project, id);
        CREATE INDEX outboxFinished ON outboxMessage(finishedAt) WHERE finishedAt IS NOT NULL;
        CREATE TABLE branchHead (
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
            branch TEXT NOT NULL, "commit" TEXT NOT NULL, moves INTEGER NOT NULL, PRIMARY KEY (project, branch)
        );
        CREATE TABLE reconciliation (
            project TEXT PRIMARY KEY REFERENCES project(name) ON DELETE CASCADE, at DOUBLE, problem TEXT
        );
        ALTER TABLE delivery ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE delivery ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE delivery ADD COLUMN holder TEXT;
        ALTER TABLE delivery ADD COLUMN leaseExpiresAt DOUBLE NOT NULL DEFAULT 0;
        ALTER TABLE run ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX deliveryOfBranch ON delivery(project, branch, event, id, "commit");
        CREATE INDEX deliveryFailed ON delivery(project, starts, id) WHERE state = 'failed';
        CREATE INDEX runOfBranch ON run(project, branch, id);
        """

    /// The ledger refers to nothing: its entries outlive the project.
    private static let governance = """
        ALTER TABLE accessToken ADD COLUMN person TEXT;
        ALTER TABLE accessToken ADD COLUMN role TEXT;
        ALTER TABLE run ADD COLUMN authorEmails TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE release ADD COLUMN authorEmails TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE approval ADD COLUMN configuration TEXT NOT NULL DEFAULT '';
        ALTER TABLE deployment ADD COLUMN rule TEXT;
        ALTER TABLE deployment ADD COLUMN configuration TEXT NOT NULL DEFAULT '';
        ALTER TABLE deployment ADD COLUMN secretNames TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE deployment ADD COLUMN secretVersions TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE deployment ADD COLUMN heldUntil DOUBLE;
        ALTER TABLE deployment ADD COLUMN heldFor TEXT;
        ALTER TABLE deployment ADD COLUMN overriddenBy TEXT;
        ALTER TABLE deployment ADD COLUMN overrideReason TEXT;
        CREATE TABLE ledger (
            number INTEGER PRIMARY KEY, project TEXT NOT NULL, body TEXT NOT NULL, previous TEXT NOT NULL UNIQUE, hash TEXT NOT NULL UNIQUE
        );
        CREATE INDEX ledgerOfProject ON ledger(project, number);
        """

    /// A cause is there once: nothing is run twice for it.
    private static let jobs = """
        CREATE TABLE job (
            id INTEGER PRIMARY KEY AUTOINCREMENT, cause TEXT UNIQUE,
            project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE, pipeline TEXT NOT NULL, stage TEXT NOT NULL,
            deployment INTEGER NOT NULL REFERENCES deployment(id) ON DELETE CASCADE, digest TEXT NOT NULL,
            kind TEXT NOT NULL, name TEXT NOT NULL, command TEXT NOT NULL, timeout DOUBLE NOT NULL, limits TEXT, actor TEXT NOT NULL,
            scheduledFor DOUBLE, state TEXT NOT NULL, endsAs TEXT, exitCode INTEGER, message TEXT, logTail TEXT, cancelledBy TEXT,
            epoch INTEGER NOT NULL DEFAULT 0, holder TEXT, leaseExpiresAt DOUBLE NOT NULL DEFAULT 0,
            createdAt DOUBLE NOT NULL, startedAt DOUBLE, finishedAt DOUBLE
        );
        CREATE INDEX jobOpen ON job(id) WHERE finishedAt IS NULL;
        CREATE INDEX jobOfProject ON job(project, id);
        CREATE INDEX jobOfStage ON job(project, pipeline, stage, id);
        CREATE INDEX jobOfDeployment ON job(deployment, id);
        """
}
