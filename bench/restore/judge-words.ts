/** The words by which the judge knows what a line claims. Labels are matched against {@link labelOf}. */

/** "This is what the session is about now." */
export const currentGoal =
  /\b(goal|objective|aim|task|topic|current(ly)?|(last|latest|newest)( \w+)? (request|prompt)|working on|wants? now|now)\b/;
/** "This was asked at some time." */
export const asked = /\b(requests?|asked|prompts?|wants?|wanted|user)\b/;
/** "This is over." */
export const past =
  /\b(first|earlier|previous(ly)?|past|finished|done|completed?|closed|before|initial(ly)?|original(ly)?|old(er)?|in between|so far|history|began|started)\b/;

export const nextStep =
  /\b(next|to-?do|to do|todos?|remaining|remains|left|pending|upcoming|open points?|in progress|continue)\b/;
/** In the words of a sentence. */
export const isDone =
  /\b(done|finished|complete(d)?|added|works?|passes|in place|connected|implemented|erledigt|fertig|hecho|fatto|gotowe)\b|terminé|完了|✓|\[x\]/;

export const errorLabel = /\b(errors?|failures?|failed|problems?|fails|broken)\b/;
export const isError =
  /\b(error|fail(ed|ure|s)?|exit|problem|exception|fatal|panic|fault|invalid|needs|timeout|no module)\b|e_/;
export const isSolved =
  /\b(solved|fixed|resolved|gone|no longer|later (passed|succeeded|worked)|passes|passed since|succeeded|works)\b/;

export const decisionLabel = /\b(decisions?|decided|choices?|chosen|agreed|settled)\b/;
/** A value that was given up is named together with one of these, or with what came instead. */
export const isReversal =
  /\b(instead|revers(ed|al)|no longer|replaced?|replaces|supersed(ed|es)|dropp?(ed)?|withdrawn|overruled|changed|was|until|not|forget|scrap|undo|switch(ed)?|rather than|out with|mind|former(ly)?|old|outdated|obsolete|taken back)\b|->|→|~~/;

/** English only: a ban whose "never" is lost says the opposite. */
export const isNegative =
  /\b(never|not|no|avoid|forbid(s|den)?|without|hands off|off limits|leave|stay away|keep out|nothing|cannot|must not|ban(ned)?|under no)\b|n't|n\u2019t/;

export const otherSession =
  /\b(other|another|also|different|elsewhere|not this|not of this|before it|earlier|previous|cleared)\b/;

export const saysChanged =
  /\b(edited|created|changed|changes|modified|written|wrote|rewritten|new|added|deleted|removed|renamed|uncommitted|dirty|touched|untracked|missing|differs?|different|gone)\b/;
export const saysSame =
  /\b(unchanged|not changed|unmodified|untouched|as (it|they) (was|were)|the same|same|identical|not different)\b/;
/** About a file whose state changed after the death. */
export const saysChangedSince =
  /\b(changed since|changed after|changed meanwhile|missing|not here|gone|deleted|differs?|different|by hand|since (it|the|that|then)|after (it|the)|modified since|no longer|not as)\b/;
export const fileHeading = /\b(files?|changes?|changed|working tree|work tree|git|worktree)\b/;
