import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe } from "vitest";
import { ruleHost } from "#harness/coordinator/engine-host.ts";
import { EmbeddedHost } from "#harness/coordinator/embedded-host.ts";
import { driver } from "#harness/store/driver.ts";

Object.assign(ruleHost, { open: () => Promise.resolve(new EmbeddedHost(driver)), hasRows: false });

/** Whole names of rules that have no meaning for a coordinator in a file, under the reason with which they are skipped. */
const notRun: Readonly<Record<string, readonly string[]>> = {
  "a file has no connections that could be closed or lost": [],
};

const reasons = new Map(Object.entries(notRun).flatMap(([reason, names]) => names.map((name) => [name, reason])));

describe("@night", async () => {
  beforeEach(({ task, skip }) => {
    const reason = reasons.get(task.name);
    if (reason !== undefined) skip(reason);
  });
  const rules = join(import.meta.dirname, "..", "rules");
  for (const file of readdirSync(rules).filter((name) => name.endsWith(".test.ts"))) await import(join(rules, file));
});
