# Bar code numbers and the catalogue: everything the service knows, without HTTP.
package Gtin;
use strict;
use warnings;

# GTIN-8, -12, -13 and -14 end in a check digit: from the right, digits weigh 1, 3, 1, 3, … and the sum is a
# multiple of ten (GS1 General Specifications, 7.9).
sub valid {
    my ($gtin) = @_;
    return 0 unless defined $gtin && $gtin =~ /\A(?:[0-9]{8}|[0-9]{12,14})\z/a;
    my ($sum, $weight) = (0, 1);
    for my $digit (reverse split //, $gtin) {
        $sum += $digit * $weight;
        $weight = 4 - $weight;
    }
    return $sum % 10 == 0 ? 1 : 0;
}

# The same article in every length: twelve digits read on thirteen are the same number.
sub normalised { return sprintf '%014s', $_[0] }

# Reads "store <tab> GTIN <tab> product <tab> cents" lines into {store}{GTIN-14}. Dies naming file and line.
sub read_catalogue {
    my ($file) = @_;
    my %catalogue;
    open my $handle, '<', $file or die "$file: $!\n";
    while (my $line = <$handle>) {
        chomp $line;
        next if $line =~ /\A\s*(?:#|\z)/;
        my ($store, $gtin, $product, $cents) = split /\t/, $line;
        die "$file:$.: expected: store, GTIN, product, cents\n" unless defined $cents && $cents =~ /\A[0-9]+\z/a;
        die "$file:$.: $gtin is not a valid GTIN\n" unless valid($gtin);
        $catalogue{$store}{ normalised($gtin) } = { product => $product, cents => $cents };
    }
    return \%catalogue;
}

# A store's own entry wins over the entry for every store. undef: not sold.
sub look_up {
    my ($catalogue, $store, $gtin) = @_;
    my $key = normalised($gtin);
    for my $shelf ($store, '*') {
        my $found = $catalogue->{$shelf} && $catalogue->{$shelf}{$key};
        return $found if $found;
    }
    return undef;
}

# Answers a path: (status, JSON text).
sub answer {
    my ($catalogue, $version, $path) = @_;
    return (200, json(status => 'ready', version => $version)) if $path eq '/healthz';
    return (404, json(error => 'not found; try /stores/<store>/gtins/<gtin>'))
        unless $path =~ m{\A/stores/([^/]+)/gtins/([^/]+)\z};
    my ($store, $gtin) = ($1, $2);
    return (400, json(error => 'a store is 1 to 32 lower-case letters, digits or hyphens'))
        unless $store =~ /\A[a-z0-9-]{1,32}\z/;
    return (400, json(error => 'a GTIN is 8, 12, 13 or 14 digits, the last one the check digit'))
        unless valid($gtin);
    my $found = look_up($catalogue, $store, $gtin)
        or return (404, json(error => 'no such product', store => $store, gtin => $gtin));
    my $price = sprintf '%d.%02d', int($found->{cents} / 100), $found->{cents} % 100;
    return (200, json(store => $store, gtin => $gtin, product => $found->{product}, price => $price, version => $version));
}

# A flat JSON object of strings, in the order given.
sub json {
    my @members;
    while (my ($name, $value) = splice @_, 0, 2) {
        $value =~ s/([\x00-\x1f"\\\x7f])/sprintf '\\u%04x', ord $1/ge;
        push @members, qq{"$name":"$value"};
    }
    return '{' . join(',', @members) . "}\n";
}

1;
