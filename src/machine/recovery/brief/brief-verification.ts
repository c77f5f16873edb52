import { testRunText } from "../../../shared/format.ts";
import { tail } from "../../text/excerpt.ts";
import { neutralize } from "../../text/neutralize.ts";
import type { Restoration } from "../incomplete/restoration.ts";
import { formatAgo } from "./brief-text.ts";
import type { BriefLine } from "./brief-quotes.ts";

/** Characters of what tests printed last, by whether they passed. */
const outputChars = { passed: 120, failed: 500 };

/** The newest run of the tests; none where no user asked for one. */
export function testLines({ verification, snapshot }: Restoration, now: number): BriefLine[] {
  if (!verification) return [];
  const { tests } = verification;
  const isOlder = tests.commit !== null && tests.commit !== snapshot?.commit;
  const of = isOlder ? "an OLDER snapshot than the newest" : "these files as they were";
  const most = tests.exitCode === 0 ? outputChars.passed : outputChars.failed;
  const printed = tests.output === "" ? "" : `; printed last: ${tail(neutralize(tests.output), most)}`;
  return [{ text: `tests of ${of}, ${formatAgo(now, tests.at)}: ${testRunText(tests)}${printed}`, rank: 0 }];
}

/** Whether the tests have passed on the newest snapshot. */
export function isTested({ verification, snapshot }: Restoration): boolean {
  const tests = verification?.tests;
  return tests?.exitCode === 0 && tests.missingFiles === 0 && tests.commit === snapshot?.commit;
}
