# folder.pl: reads and makes saved folders with code that shares nothing with Refrain's.
#   folder.pl check FOLDER LAYERS WIDTH CONTEXT VOCAB   every tensor is there, in its shape and place
#   folder.pl hash FOLDER                               XXH64 of all tensors' bytes, by order of offset
#   folder.pl publish FOLDER TARGET                     as the published models are: other names, masks
#   folder.pl compare FOLDER FOLDER PATTERN             names of tensors that differ, of those that match
use strict;
use warnings;
no warnings 'portable';

# name => [dtype, [dims], begin, end]; and the bytes.
sub load_file {
    my ($path) = @_;
    open(my $in, '<:raw', $path) or die "$path: $!\n";
    my $file = do { local $/; <$in> };
    my $len = unpack('Q<', substr($file, 0, 8));
    my $header = substr($file, 8, $len);
    my $data = substr($file, 8 + $len);
    my %tensors;
    while ($header =~ /"([^"]+)"\s*:\s*\{([^{}]*)\}/g) {
        my ($name, $body) = ($1, $2);
        next if $name eq '__metadata__';
        my ($dtype) = $body =~ /"dtype"\s*:\s*"([A-Z0-9]+)"/;
        my ($dims) = $body =~ /"shape"\s*:\s*\[([^\]]*)\]/;
        my ($begin, $end) = $body =~ /"data_offsets"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*\]/;
        $tensors{$name} = [$dtype, [split /\s*,\s*/, $dims], $begin, $end];
    }
    return (\%tensors, $data, $len);
}

sub by_offset {
    my ($tensors) = @_;
    return sort { $tensors->{$a}[2] <=> $tensors->{$b}[2] } keys %$tensors;
}

sub check {
    my ($folder, $layers, $width, $context, $vocab) = @_;
    my ($tensors, $data, $len) = load_file("$folder/model.safetensors");
    my %want = ('wte.weight' => "$vocab $width", 'wpe.weight' => "$context $width",
        'ln_f.weight' => $width, 'ln_f.bias' => $width);
    for my $i (0 .. $layers - 1) {
        my $h = "h.$i";
        for my $norm ('ln_1', 'ln_2') { $want{"$h.$norm.weight"} = $want{"$h.$norm.bias"} = $width }
        my %linear = ('attn.c_attn' => [$width, 3 * $width], 'attn.c_proj' => [$width, $width],
            'mlp.c_fc' => [$width, 4 * $width], 'mlp.c_proj' => [4 * $width, $width]);
        for my $name (keys %linear) {
            $want{"$h.$name.weight"} = "@{$linear{$name}}";    # (in, out)
            $want{"$h.$name.bias"} = $linear{$name}[1];
        }
    }
    die "header of $len bytes ends between numbers\n" if (8 + $len) % 8;
    my $at = 0;
    for my $name (by_offset($tensors)) {
        my ($dtype, $dims, $begin, $end) = @{$tensors->{$name}};
        my $count = 1;
        $count *= $_ for @$dims;
        die "$name is not wanted\n" unless exists $want{$name};
        die "$name is (@$dims), not ($want{$name})\n" unless "@$dims" eq $want{$name};
        die "$name: $dtype, $begin to $end\n" unless $dtype eq 'F32' && $begin == $at && $end == $at + 4 * $count;
        delete $want{$name};
        $at = $end;
    }
    die "missing: @{[sort keys %want]}\n" if %want;
    die "the file ends elsewhere\n" unless $at == length $data;
}

# XXH64 (the published description), with arithmetic modulo 2^64.
my ($P1, $P2, $P3, $P4, $P5) = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
    0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5);
sub add { use integer; return unpack('Q', pack('q', $_[0] + $_[1])) }
sub mul { use integer; return unpack('Q', pack('q', $_[0] * $_[1])) }
sub rotl { return (($_[0] << $_[1]) | ($_[0] >> (64 - $_[1]))) & ~0 }
sub round1 { return mul(rotl(add($_[0], mul($_[1], $P2)), 31), $P1) }

sub xxh64 {
    my ($data) = @_;
    my ($len, $at, $h) = (length $data, 0, add(0, $P5));
    if ($len >= 32) {
        my @v = (add($P1, $P2), $P2, 0, add(0, ~$P1 + 1));
        for (; $at + 32 <= $len; $at += 32) {
            my @lane = unpack('Q<4', substr($data, $at, 32));
            $v[$_] = round1($v[$_], $lane[$_]) for 0 .. 3;
        }
        $h = add(add(rotl($v[0], 1), rotl($v[1], 7)), add(rotl($v[2], 12), rotl($v[3], 18)));
        $h = add(mul($h ^ round1(0, $v[$_]), $P1), $P4) for 0 .. 3;
    }
    $h = add($h, $len);
    for (; $at + 8 <= $len; $at += 8) {
        $h = add(mul(rotl($h ^ round1(0, unpack('Q<', substr($data, $at, 8))), 27), $P1), $P4);
    }
    if ($at + 4 <= $len) {
        $h = add(mul(rotl($h ^ mul(unpack('L<', substr($data, $at, 4)), $P1), 23), $P2), $P3);
        $at += 4;
    }
    for (; $at < $len; $at++) {
        $h = mul(rotl($h ^ mul(ord(substr($data, $at, 1)), $P5), 11), $P1);
    }
    $h = mul($h ^ ($h >> 33), $P2);
    $h = mul($h ^ ($h >> 29), $P3);
    return $h ^ ($h >> 32);
}

sub publish {
    my ($folder, $target) = @_;
    my ($tensors, $data) = load_file("$folder/model.safetensors");
    my ($at, $bytes, @entries) = (0, '');
    my $put = sub {
        my ($name, $dims, $content) = @_;
        push @entries, sprintf('"%s":{"dtype":"F32","shape":[%s],"data_offsets":[%d,%d]}',
            $name, join(',', @$dims), $at, $at + length $content);
        $at += length $content;
        $bytes .= $content;
    };
    my ($context) = @{$tensors->{'wpe.weight'}[1]};
    for my $name (sort keys %$tensors) {
        my ($dtype, $dims, $begin, $end) = @{$tensors->{$name}};
        my $content = substr($data, $begin, $end - $begin);
        $put->("transformer.$name", $dims, $content);
        $put->('lm_head.weight', $dims, $content) if $name eq 'wte.weight';
        if ($name =~ /^(h\.\d+\.attn)\.c_attn\.bias$/) {
            $put->("transformer.$1.bias", [1, 1, $context, $context], pack('f<*', (1) x $context ** 2));
            $put->("transformer.$1.masked_bias", [], pack('f<', -10000));
        }
    }
    my $header = '{"__metadata__":{"format":"pt"},' . join(',', @entries) . '}';
    $header .= ' ' x (-length($header) % 8);
    mkdir $target;
    open(my $out, '>:raw', "$target/model.safetensors") or die "$target: $!\n";
    print $out pack('Q<', length $header), $header, $bytes;
    close $out;
}

sub compare {
    my ($one, $other, $pattern) = @_;
    my ($tensors, $data) = load_file("$one/model.safetensors");
    my ($others, $other_data) = load_file("$other/model.safetensors");
    for my $name (sort grep { /$pattern/ } keys %$tensors) {
        my (undef, undef, $begin, $end) = @{$tensors->{$name}};
        my (undef, undef, $from, $to) = @{$others->{$name}};
        print "$name\n" if substr($data, $begin, $end - $begin) ne substr($other_data, $from, $to - $from);
    }
}

my $verb = shift;
if ($verb eq 'check') { check(@ARGV) }
elsif ($verb eq 'publish') { publish(@ARGV) }
elsif ($verb eq 'compare') { compare(@ARGV) }
elsif ($verb eq 'xxh64') { printf "%016x\n", xxh64($ARGV[0]) }
else {
    my ($tensors, $data) = load_file("$ARGV[0]/model.safetensors");
    printf "%016x\n", xxh64($data);
}
