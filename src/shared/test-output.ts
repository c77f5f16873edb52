/** Pure: what programs that run tests print of their number. */

/** No test: Vitest, Jest, Mocha, node:test, cargo, pytest, unittest, go, Maven, Gradle. */
const none =
  /\bno test(?: file)?s (?:found|ran|were run|to run|executed)\b|\bno test specified\b|\[no test(?:s to run| files)\]|^\s*0 passing\b|^(?:#|ℹ) tests 0$|\brunning 0 tests\b|\bcollected 0 items\b|^Ran 0 tests\b|\bTests run: 0,|> Task :\S*test\S* NO-SOURCE/im;
/** At least one. */
const some =
  /\b[1-9]\d*\)? (?:tests? )?(?:pass|fail)(?:ed|ing|ures?)?\b|\brunning [1-9]\d* tests?\b|^(?:#|ℹ) tests [1-9]|^Ran [1-9]|\bTests run: [1-9]|^ok\s+\S+\s+(?:[\d.]+s|\(cached\))$/im;

/** Whether a run of tests has run none, by what it printed: its exit code may be 0 all the same. */
export function ranNoTests(output: string): boolean {
  return none.test(output) && !some.test(output);
}
