import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, type TestContext } from "vitest";
import { ruleHost } from "#harness/coordinator/engine-host.ts";
import { EmbeddedHost } from "#harness/coordinator/embedded-host.ts";
import { driver } from "#harness/store/driver.ts";

let skip: TestContext["skip"];

/** A file has no connections that could be closed or lost: a rule that needs one is skipped. */
class FileHost extends EmbeddedHost {
  override disconnect(): Promise<void> {
    skip("a file has no connections");
  }
}

Object.assign(ruleHost, { open: () => Promise.resolve(new FileHost(driver)), hasRows: false });

/** Whole names of rules that have no meaning for a coordinator in a file, under the reason. */
const notRun = {
  "there are no pings: a heartbeat is stored a few times in each ttl, and its answer says how long the chat lives": [
    "over a connection pings alone keep a chat alive, for ttlMs after the last one",
    "one chat is told with all that it said of itself",
    "pings and calls renew a bound lease; renewals do not change its ttl",
  ],
  "whoever can open the file is an admin": [
    "it is believed only of the process that runs the chat, and only from its machine",
    "a token of another machine cannot act as a visible chat; an admin's can",
    "a token registers chats of its own machine only, an admin's of any",
    "of another machine's device only an admin deletes what is stored",
    "a third machine does not give back what is not its own",
  ],
};

describe("@night", async () => {
  const left = new Map(Object.entries(notRun).flatMap(([reason, names]) => names.map((name) => [name, reason])));
  beforeEach(({ task, skip: skipThis }) => {
    skip = skipThis;
    const reason = left.get(task.name);
    left.delete(task.name);
    if (reason !== undefined) skip(reason);
  });
  afterAll(() => expect([...left.keys()]).toEqual([]));
  const rules = join(import.meta.dirname, "..", "rules");
  for (const file of readdirSync(rules).filter((name) => name.endsWith(".test.ts"))) await import(join(rules, file));
});
