#!/usr/bin/perl
# make_unicode.pl - writes src/base/unicode_tables.inc from Perl's own copy of
# the Unicode Character Database:  perl tools/make_unicode.pl > FILE
use strict;
use warnings;
use Unicode::UCD qw(prop_invmap);

my $version = Unicode::UCD::UnicodeVersion();
print "/* unicode_tables.inc - made by tools/make_unicode.pl from Unicode\n";
print " * $version; see unicode.c for what the numbers mean.  Do not edit. */\n";

# Runs of one property: first code point << 8 | number of the value.
sub runs {
    my ($property, $table, $names) = @_;
    my ($list, $map) = prop_invmap($property);
    my (%number, @values, @out);
    my $last = -1;
    for my $i (0 .. $#$list) {
        last if $list->[$i] > 0x10ffff;
        my $value = $map->[$i];
        if (!exists $number{$value}) {
            $number{$value} = scalar @values;
            push @values, $value;
        }
        next if $number{$value} == $last;
        $last = $number{$value};
        push @out, sprintf("0x%x", $list->[$i] << 8 | $last);
    }
    die "too many values" if @values > 256;
    print "\nstatic const char *const $names\[] = {\n";
    print "    \"$_\",\n" for @values;
    print "};\n\nstatic const uint32_t $table\[] = {\n";
    while (my @line = splice @out, 0, 7) {
        print "    ", join(", ", @line), ",\n";
    }
    print "};\n";
}

# Runs of a mapping: first, last, stride, distance.
sub mapping {
    my ($property, $table) = @_;
    my ($list, $map) = prop_invmap($property);
    my @pairs;
    for my $i (0 .. $#$list) {
        next unless $map->[$i];
        my $end = $i < $#$list ? $list->[$i + 1] : $list->[$i] + 1;
        for my $c ($list->[$i] .. $end - 1) {
            push @pairs, [$c, $map->[$i] + $c - $list->[$i] - $c];
        }
    }
    print "\nstatic const case_run $table\[] = {\n";
    my $i = 0;
    while ($i < @pairs) {
        my ($first, $delta) = @{$pairs[$i]};
        my ($stride, $j) = (1, $i);
        if ($i + 1 < @pairs && $pairs[$i + 1][1] == $delta) {
            my $gap = $pairs[$i + 1][0] - $first;
            $stride = $gap if $gap == 1 || $gap == 2;
        }
        $j++ while $j + 1 < @pairs && $pairs[$j + 1][1] == $delta
            && $pairs[$j + 1][0] - $pairs[$j][0] == $stride;
        printf "    {0x%x, 0x%x, %d, %d},\n", $first, $pairs[$j][0], $stride,
            $delta;
        $i = $j + 1;
    }
    print "};\n";
}

runs("General_Category", "category_runs", "category_names");
runs("Script", "script_runs", "script_names");
mapping("Simple_Lowercase_Mapping", "lower_runs");
mapping("Simple_Uppercase_Mapping", "upper_runs");
mapping("Simple_Case_Folding", "fold_runs");
