# The build puts this into `shim-hook`. It loads no module: each takes as long as the rest.
my ($program, $node, $event, undef, $client) = @ARGV;
$client ||= "claude-code";
my $is_line = $event eq "StatusLine";

# To another client that runs hooks of Claude Code the answer comes before its input ends.
start() if !$is_line && $client eq "claude-code" && $ENV{CLAUDECODE} ne "1" && !exists $ENV{CLAUDE_CODE_ENTRYPOINT};

# A handle that the client has closed would get the number of the next file.
my @null;
while (open my $file, "+<", "/dev/null") {
  push @null, $file;
  last if fileno $file > 2;
}

# Every wait is short: a signal that comes just before a system call does not end it.
my ($elapsed, $is_ended, $is_failed, $parent) = (0, 0, 0, getppid);
# A client may end the shell that waits for this script, and not the script.
$SIG{ALRM} = sub { $elapsed++; $is_ended = 1 if getppid != $parent; alarm 1 };
$SIG{$_} = sub { $is_ended = 1 } for qw(HUP INT TERM);
$SIG{PIPE} = "IGNORE";
alarm 1;

# Seconds from the start until the host must have answered. No client ends a hook before them.
my $seconds = $event =~ /^session_?start$/i ? 6 : $event =~ /^(?:PreToolUse|PreCompact)$/ ? 5 : 2;

# The same where the host holds the event, which it says with its first bytes.
my ($held, $is_held) = (590, 0);

# The wait for input ends half a second after the first tick, so that there is time to store
# it. Where select does not say how much of a time is left (macOS), it ends after half a second of
# silence, or at the second tick. What is there already is read in any case.
my ($input, $is_cut, $wait) = ("", 1, 0.5);
until (length $input > 1 << 28) {
  my ($found, $left) = ready(0, 0, $is_ended || $elapsed > 1 ? 0 : $elapsed ? $wait : 0.01);
  $wait = $left if $elapsed && $found >= 0;
  if ($found > 0) {
    next if sysread STDIN, $input, 65536, length $input;
    $is_cut = 0;
    last;
  }
  next if $found < 0;
  $is_cut = !has_object();
  last if !$is_cut || $elapsed || $is_ended;
}

# In a text these quotes would have backslashes.
exit if "$client $event" eq "qwen UserPromptSubmit" && $input =~ /"prompt":""/ && $input !~ /"prompt":"[^"]/;

exit if $is_ended && $input eq "";

my $self = describe();
my $answer = $is_ended ? undef : post();
# Nothing is lost: the client has asked for the next one.
exit if $is_ended && $is_line;
put(\*STDOUT, $answer // run(), $elapsed + 2);
alarm 0;
exit $is_failed;

# Becomes the program. Where its node is gone another one starts it, by the launcher, which says when it is too old.
sub start {
  delete $ENV{PERL_SKIP_LOCALE_INIT};
  my @event = ($event, "--client", $client);
  exec $node, $program, @event;
  my ($folder, $name) = $program =~ m{^(.*)dist/(\w+)\.cjs$};
  exec "node", "${folder}bin/shim.mjs", $name, @event;
  exit 1;
}

# By the line of proc(5). Elsewhere number and parent come again; what is drawn does not.
sub describe {
  return "$$ (perl) S " . getppid() . " 0" . int rand 1e9 unless open my $file, "<", "/proc/$$/stat";
  chomp(my $line = <$file>);
  return $line;
}

# Whether the handle of this number can be read or written; 0 when the time is over, -1 at a signal.
sub ready {
  my ($number, $is_written, $time) = @_;
  vec(my $bits = "", $number, 1) = 1;
  return select $is_written ? undef : $bits, $is_written ? $bits : undef, undef, $time;
}

# A handle that is ready takes so much without waiting.
sub put {
  my ($handle, $text, $limit) = @_;
  my $sent = 0;
  while ($sent < length $text) {
    return 0 if $elapsed >= $limit;
    ready(fileno $handle, 1, 0.5) > 0 or next;
    $sent += syswrite($handle, $text, 4096, $sent) || return 0;
  }
  return 1;
}

# Reads to the end. A host whose answer waits for a person says so at once, and is waited for longer.
sub take {
  my ($handle, $limit) = @_;
  my $text = "";
  until ($elapsed >= $limit || $is_ended) {
    ready(fileno $handle, 0, 0.5) > 0 or next;
    sysread $handle, $text, 65536, length $text or return $text;
    next if $limit == $held || $text !~ m{^HTTP/1\.1 102 };
    ($limit, $is_held) = ($held, 1);
  }
  return undef;
}

# Whether the first object of the input is whole. Called when nothing more has come, and goes on
# where it was. Works on parts, by what perl does for a whole text at once: 20 MB take 0.1 to 0.5 s.
my ($at, $depth, $open) = (0, 0, "");

sub has_object {
  # UTF-16 is read to its end.
  return 0 if $input =~ /^(?:\xff\xfe|\xfe\xff|\0?\{\0)/;
  if (!$depth) {
    $at = 1 + index $input, "{" or return 0;
    $depth = 1;
  }
  while ($at < length $input && $elapsed < 2 && !$is_ended) {
    my $part = $open . substr $input, $at, 16384;
    $at += 16384;
    $part =~ s/\\.//gs;
    $part =~ tr/"{}\\//cd;
    # A string or an escape that the part begins is ended by the next one.
    $open = $part =~ s/\\\z// ? "\\" : "";
    $part =~ s/(?:""|"[{}]+")++//g;
    $open = "\"$open" if $part =~ s/"[{}]*\z//;
    1 while $part =~ s/(?:\{\})++//g;
    my $ends = $part =~ tr/}//;
    return 1 if $ends >= $depth;
    $depth += length($part) - 2 * $ends;
  }
  $at = length $input if $at > length $input;
  return 0;
}

# Gives the event to the host. Returns its answer; undef: the program must have the event.
sub post {
  my $is_mac = $^O eq "darwin";
  my $data = $is_mac ? "$ENV{HOME}/Library/Application Support" : $ENV{XDG_DATA_HOME} || "$ENV{HOME}/.local/share";
  my $home = $ENV{SHIM_HOME} || "$data/shim";
  my @head = ("POST /hook/$client/$event HTTP/1.1", "Host: shim", "Connection: close");
  push @head, "Content-Length: " . length $input, "shim-process: $self", "shim-home: =$home";
  push @head, "shim-zone: " . zone() if $is_line;
  for my $name (qw(@variables@)) {
    push @head, "@prefix@" . lc($name =~ tr/_/-/r) . ": =$ENV{$name}" if exists $ENV{$name};
  }
  # A header ends with its line, and no variable may begin another one.
  return undef if $home !~ m{^/} || grep /[\r\n]/, @head;

  # A path of a socket may have 103 bytes, and that of a home may have more.
  opendir my $here, "." or return undef;
  chdir $home or return undef;
  # An address of a Unix socket, and a stream; on macOS a byte for its length comes first.
  socket my $host, 1, 1, 0;
  my $is_open = connect $host, pack $is_mac ? "xCZ*" : "SZ*", 1, "host.sock";
  chdir $here;
  return undef unless $is_open && put($host, join("\r\n", @head, "", $input), $seconds);
  (my $text = take($host, $seconds) // "") =~ s{^HTTP/1\.1 102 .*?\r\n\r\n}{}s;
  my ($head, $body) = split /\r\n\r\n/, $text, 2;
  my ($length) = $head =~ /^content-length: (\d+)/im;
  return $body if $head =~ m{^HTTP/1\.1 200 } && defined $length && $length == length $body;
  # A host that is gone has recorded the event which it held.
  return $is_held ? "{}" : undef;
}

# Minutes that the clock of this process is ahead of UTC.
sub zone {
  my @utc = gmtime(my $now = time);
  my @here = localtime $now;
  my $days = $here[5] <=> $utc[5] || $here[7] <=> $utc[7];
  return $days * 1440 + ($here[2] - $utc[2]) * 60 + $here[1] - $utc[1];
}

# Has the program start a host, or keep the event where the time for that is over. In a group of its
# own no signal to the client's group ends it.
sub run {
  pipe(my $stdin, my $event) && pipe(my $stdout, my $result) or return "";
  my $child = fork // return "";
  if (!$child) {
    setpgrp;
    open STDIN, "<&", $stdin;
    open STDOUT, ">&", $result;
    $ENV{SHIM_HOOK_PROCESS} = $self;
    $ENV{SHIM_HOOK_WAITED} = 1 if $is_ended || $is_cut || $elapsed + 1 >= $seconds;
    # One that hangs does not stay behind: the alarm is kept, its handler is not.
    alarm($event eq "PermissionRequest" ? $held : 30);
    start();
  }
  close $_ for $stdin, $result;
  put($event, $input, 30);
  close $event;
  # The program has all of it.
  $SIG{$_} = sub { exit } for qw(HUP INT TERM);
  $is_ended = 0;
  my $answer = take($stdout, $seconds + 2);
  $is_failed = 1 if defined $answer && $answer eq "" && waitpid($child, 0) == $child && $?;
  return $answer;
}
