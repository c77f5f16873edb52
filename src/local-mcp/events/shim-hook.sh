#!/bin/sh
# shim-hook <node> <Event> [--client <name>]
# Gives an event of a client to the host of this machine, or to the program beside this file. Ends
# with another code than 0 where neither could be started. With StatusLine as the event it prints the status line.
program=hook
[ "$2" = StatusLine ] && program=statusline
if [ -x /usr/bin/perl ]; then
  # The locale, which no byte of an event needs, is a tenth of the start of perl (perllocale).
  PERL5OPT='' PERL_BADLANG=0 PERL_SKIP_LOCALE_INIT=1 exec /usr/bin/perl -C0 -e '@perl@' "${0%/*}/$program.cjs" "$@"
fi
[ -x "$1" ] && exec "$1" "${0%/*}/$program.cjs" "$2" --client "${4:-claude-code}"
exec node "${0%/*}/../bin/shim.mjs" $program "$2" --client "${4:-claude-code}"
