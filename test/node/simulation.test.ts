import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { bugNamed, bugs } from "../sim/bugs.ts";
import { simulate, type Outcome } from "../sim/run.ts";
import { command, play, type Command } from "../sim/script.ts";

/** CI asks for 1,000,000; by default the whole file stays below a minute on a busy machine with two cores. */
const events = Number(process.env["SHIM_SIM_EVENTS"] ?? 200_000);
const seed = Number(process.env["SHIM_SIM_SEED"] ?? 1);
const timeout = 120_000 + events / 5;

let clean: Outcome | undefined;
function cleanRun(): Outcome {
  return (clean ??= simulate({ seed, events }));
}

it(
  "[SM1] [SM2] [SM3] [SM4] [SM5] [SM6] [SM7] [SM8] [SM9] every rule holds in a long run",
  () => {
    const { violation, events: done } = cleanRun();
    expect(violation, `node test/sim/main.ts --events ${events} --seed ${seed}`).toBeNull();
    expect(done).toBeGreaterThanOrEqual(events);
  },
  timeout,
);

it(
  "[SM13] a run comes through all that it is made for",
  () => {
    const { counts } = cleanRun();
    expect(reached.filter((name) => !counts.has(name))).toEqual([]);
  },
  timeout,
);

const reached = [
  ...["request lost", "reply lost", "request again", "patience over", "hint", "ping", "pong"],
  ...["alarm late", "alarm lost", "alarm again", "watchdog found what was due"],
  ...["host died before the commit", "host died after the commit", "deploy", "notices a closed socket"],
  ...["short pause", "long pause", "suspend", "suspend with a step", "clock stepped", "clock set"].map(
    (name) => `fault: ${name}`,
  ),
  ...["crash", "machine crash", "cut off", "socket broken", "deploy", "admin"].map((name) => `fault: ${name}`),
  ...["goes on", "machine wakes", "clocks jumped", "process starts beside another", "death attested"],
  ...["granted at once", "granted to one who waited", "stands in line", "lease ran out"],
  ...["left", "closed", "timeout", "attested"].map((reason) => `offline: ${reason}`),
  ...["guarded write accepted", "write refused: stale_token", "write refused: version_mismatch", "write repeated"],
  ...["watch told", "watch compacted", "copy compared", "messages read", "message repeated"],
  ...["lease_held", "not_holder", "session_in_use", "chat_offline", "chat_replaced", "owner_alive"].map(
    (code) => `refused: ${code}`,
  ),
];

it("[SM10] the same seed gives the same run", () => {
  const run = (from: number): string[] => {
    const lines: string[] = [];
    simulate({ seed: from, events: 3_000, trace: (line) => lines.push(line) });
    return lines;
  };
  expect(run(5)).toEqual(run(5));
  expect(run(5)).not.toEqual(run(6));
});

it("[SM10] a violation prints the command that shows it again", { timeout }, () => {
  const main = join(import.meta.dirname, "..", "sim", "main.ts");
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
    expect({ status, stderr }).toMatchObject({ status: 1 });
    return `${stdout}${stderr}`;
  };
  const output = run("--bug", "token-not-raised", "--seed", "3", "--events", "20000");
  const again = /again: node test\/sim\/main.ts (.*)/.exec(output)?.[1]?.split(" ") ?? [];
  expect(/violation.*/.exec(run(...again))?.[0]).toBe(/violation.*/.exec(output)?.[0]);
});

const lists = fc.array(command, { maxLength: 60, size: "max" });

it("[SM11] the rules hold for whatever list of commands", { timeout }, () => {
  fc.assert(
    fc.property(lists, (list) => {
      const { violation } = play(list);
      if (violation) throw violation;
    }),
    { numRuns: 150, seed },
  );
});

it("[SM11] a list that breaks a rule is shrunk to the few commands that matter", { timeout }, () => {
  const bug = bugNamed("guards-lost");
  const { failed, counterexample } = fc.check(
    fc.property(lists, (list) => play(list, bug).violation === null),
    { numRuns: 500, seed: 7 },
  );
  const [list] = counterexample as [Command[]];
  expect({ failed, isShort: list.length <= 8 }).toEqual({ failed: true, isShort: true });
  expect(list).toContainEqual(expect.objectContaining({ do: "act" }));
  expect(play(JSON.parse(JSON.stringify(list)) as Command[], bug).violation).toMatchObject({ rule: "guard" });
  expect(play(list).violation).toBeNull();
});

it.each(bugs)("[SM12] is caught within $within events from each of three seeds: $name, $about", { timeout }, (bug) => {
  const caught = [1, 2, 3].map(
    (from) => simulate({ seed: from, events: bug.within, bug, day: 3_000 }).violation !== null,
  );
  expect(caught).toEqual([true, true, true]);
});

it("[SM12] where a rare bug is looked for, nothing is found without it", { timeout }, () => {
  const found = bugs.flatMap(({ name, focus }) => {
    if (!focus) return [];
    const { violation } = simulate({ seed, events: 4_000, bug: { name, about: "", within: 0, focus }, day: 2_000 });
    return violation ? [`${name}: ${violation.message}`] : [];
  });
  expect(found).toEqual([]);
});
