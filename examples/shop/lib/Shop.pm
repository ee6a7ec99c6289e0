# What the three services of the shop share: a small HTTP server and the database.
package Shop;
use strict;
use warnings;
use Errno qw(EINTR);
use IO::Socket::INET;

our $version = $ENV{SHOP_VERSION} // 'dev';
my %reason = (200 => 'OK', 201 => 'Created', 303 => 'See Other', 400 => 'Bad Request', 404 => 'Not Found', 503 => 'Service Unavailable');

# The database that the stage's secret DATABASE names: dbi:Pg:host=…;port=…;dbname=…;user=…;password=…
sub database {
    require DBI;
    my $dsn = $ENV{DATABASE} or die "shop: DATABASE is not set; the stage gets it from a secret\n";
    return DBI->connect($dsn, undef, undef, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
}

# Answers one request after the other with handler(method, path, body) → (status, type, text, header…) until SIGTERM.
sub serve {
    my ($port, $handler) = @_;
    my $stopping = 0;
    $SIG{TERM} = $SIG{INT} = sub { $stopping = 1 };
    $SIG{PIPE} = 'IGNORE';
    my $listener = IO::Socket::INET->new(LocalPort => $port, Proto => 'tcp', Listen => 256, ReuseAddr => 1)
        or die "shop: cannot listen on port $port: $@\n";
    $| = 1;
    print "$0 $version listens on port $port\n";
    until ($stopping) {
        my $client = $listener->accept or ($! == EINTR ? next : die "shop: accept: $!\n");
        eval { answer($client, $handler); 1 } or print STDERR "shop: $@";
        close $client;
    }
    print "$0 stopped\n";
}

sub answer {
    my ($client, $handler) = @_;
    # A client that says nothing does not hold the others up.
    local $SIG{ALRM} = sub { die "a client took too long\n" };
    alarm 5;
    my $head = '';
    until ($head =~ /\r?\n\r?\n/) {
        die "a request head is too long\n" if length $head > 16384;
        sysread($client, $head, 4096, length $head) or return;
    }
    my ($first, $body) = split /\r?\n\r?\n/, $head, 2;
    my $length = $first =~ /^content-length:\s*(\d+)/mi ? $1 : 0;
    die "a body is too long\n" if $length > 65536;
    while (length $body < $length) { sysread($client, $body, $length - length $body, length $body) or return }
    my ($method, $path) = $first =~ m{^(\S+) (\S+)} or return;
    my ($status, $type, $text, @headers) = eval { $handler->($method, $path, $body) };
    ($status, $type, $text) = (503, 'text/plain', "not now: $@") if $@;
    utf8::encode($text) if utf8::is_utf8($text);
    my $reply = join "\r\n", "HTTP/1.1 $status " . ($reason{$status} // 'OK'), "Content-Type: $type; charset=utf-8",
        'Content-Length: ' . length $text, "X-Shop-Version: $version", @headers, 'Connection: close', '', $text;
    my $sent = 0;
    while ($sent < length $reply) { $sent += syswrite($client, $reply, length($reply) - $sent, $sent) // return }
    alarm 0;
}

1;
