import { expect, it, onTestFinished, vi } from "vitest";
import { pastChats, recordedChats, seedExperiments, startTrial } from "#harness/experiments/histories.ts";
import { aCliHome, aSeededHome, failed, holding, ids, printed } from "#harness/machine/cli-home.ts";
import { offer } from "#src/machine/recovery/offers.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { countCost } from "#src/machine/sessions/usage/ledger.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";

const dayMs = 86_400_000;

it("the report of a week says in sentences what died, was saved, lost, paid for and changed", async () => {
  const home = aSeededHome();
  const { runtime } = home;
  seedExperiments(runtime);
  runtime.store.write((sql) => {
    const lost = { kind: "tool_end", id: "t2", name: "Bash", input: "npm test" } as const;
    journal.append(sql, ids.dead, home.now, "late", lost);
    const chat = sessions.get(sql, ids.alive);
    if (chat) countCost(sql, chat, 1.254, "claude-opus-5-5", home.now);
  });
  for (const project of [home.project, home.other]) offer(runtime, ids.alive, { project });
  await home.shim("resume --dismiss", ids.dead);
  const { out } = await home.shim("report");
  const canary =
    /\n- 2023-11-14: `checkpoint\.everyMs` 300000 -> 250000: canary \(harm is watched for in .*\)\. Why: to see\.\n/;
  const deployed = "- 2023-11-14: `checkpoint.everyToolCalls` 10 -> 8: deployed (after 200 sessions). Why: to see.\n";
  expect(out).toEqual(holding(deployed, canary));
  const [head, ...rest] = out.split(/\n\n## (.+)\n\n/);
  expect(head).toBe(`# SHIM, 2023-W46

2023-11-13 to 2023-11-19, UTC.

**Of 4 chats 2 died: 0 continued by another chat, 0 resumed, 1 dismissed, 1 open.** They cost $1.25.`);
  expect(rest.slice(0, 5)).toEqual([
    "What died",
    `| cause (of the last death) | chats | tool calls in no checkpoint |
| --- | ---: | ---: |
| killed | 2 | 1 |

On this machine the journal has those calls; another machine lacks them.`,
    "What it cost",
    "- claude-opus-5-5: $1.25",
    "What SHIM changed, and why",
  ]);
  expect(rest.slice(-2)).toEqual(["What could be better", "The records show nothing that should change.\n\n"]);
});

it("a week is this one, or one whose report the review has written; one that is none is wrong usage", async () => {
  const home = aSeededHome();
  expect(await home.shim("report")).toMatchObject(printed("**4 chats, and none died.**\n"));
  const none = "there is no report of 2023-W01: the daily review writes one of each week with chats, once it is over.";
  expect(await home.shim("report --week 2023-W01")).toMatchObject(failed(3, none));
  home.now += 7 * dayMs;
  await home.shim("report run");
  expect(await home.shim("report --week 2023-W46")).toMatchObject(
    printed("# SHIM, 2023-W46", "**4 chats, and none died.**\n"),
  );
  await home.misuses("report", [
    ["--week ../notes", '"../notes" is no week. Name one such as 2023-W47.'],
    ["--week yesterday", '"yesterday" is no week.'],
  ]);
  const nothing = failed(3, "nothing is stored yet, so there is nothing to report.");
  expect(await aCliHome().shim("report")).toMatchObject(nothing);
});

it("`report run` gives up after the time that it is given", async () => {
  const home = aSeededHome();
  const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
  const timers = vi.spyOn(globalThis, "setTimeout");
  onTestFinished(() => void vi.restoreAllMocks());
  const limitOf = async (options: string): Promise<unknown> => {
    await home.shim(`report run --dry-run ${options}`);
    return timers.mock.calls.find(([, ms]) => ms === 420_000)?.[0];
  };
  expect(await limitOf("")).toBeUndefined();
  const giveUp = await limitOf("--time-limit 7m");
  expect(exit).not.toHaveBeenCalled();
  (giveUp as () => void)();
  expect(exit).toHaveBeenCalledWith(1);
});

it("a review ends an experiment whose days are over, and says so once; a dry run says what it would do, and does nothing", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  const { id } = startTrial(home.runtime, "checkpoint.everyMs", 250_000);
  home.now += 29 * dayMs;
  const dry = async () => (await home.shim("report run --dry-run")).out;
  const nothing = "Would change nothing: `shim config set kaizen apply` allows trials.\n";
  expect(await dry()).toBe(`0 better values found.\n${nothing}`);
  Object.assign(home.runtime, { config: { ...home.runtime.config, kaizen: "apply" } });
  expect(await dry()).toBe("0 better values found.\nWould try nothing.\n");
  expect(await home.json("experiment list")).toMatchObject({ experiments: [{ id, state: "canary" }] });
  expect((await home.shim("report run")).out).toBe(`0 better values found.\n${id}: decided: undecided.\n`);
  expect((await home.shim("report run")).out).toBe("0 better values found.\n");
});

it("where the time of chats went is said with the chats and one thing to do, in the report, too", async () => {
  const home = aSeededHome();
  const nothing = "The records show nothing that takes time again and again.\n";
  expect((await home.shim("report workflows")).out).toBe(nothing);
  recordedChats(home.runtime, 4, { name: "Bash", input: "make all", durationMs: 61_000 });
  const said =
    /\d h in 4 chats: `make all` took a minute or more \d+ times \(recorded, recorded, recorded and 1 more\)\. What to do: add to AGENTS\.md: "make all takes minutes: /;
  expect((await home.shim("report workflows")).out).toMatch(said);
  expect((await home.shim("report")).out).toMatch(said);
  expect(await home.json("report workflows")).toMatchObject({ found: [{ kind: "slow", subject: "make all" }] });
});
