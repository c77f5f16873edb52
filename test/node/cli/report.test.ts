import { expect, it, onTestFinished, vi } from "vitest";
import { pastChats, recordedChats, seedExperiments, startTrial } from "#harness/experiments/histories.ts";
import { aCliHome, addSession, aSeededHome, failed, holding, ids, printed } from "#harness/machine/cli-home.ts";
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
  expect(rest.slice(0, 9)).toEqual([
    "What died",
    `| cause (of the last death) | chats | tool calls since the last checkpoint |
| --- | ---: | ---: |
| killed | 2 | 1 |`,
    "What was saved",
    holding(
      "- 4 checkpoints of this week are kept, 0.0 MB before compression.\n",
      /- 2 of the 2 chats that died were offered to 1 chat with a mean restore score of \d+ of 100 \(prompts quoted,/,
    ),
    "What was lost",
    "- 1 tool call of the chats that died was in no checkpoint. On this machine the journal has them; another machine lacks them.",
    "What it cost",
    "- claude-opus-5-5: $1.25",
    "What SHIM changed, and why",
  ]);
  expect(rest.slice(-2)).toEqual(["What could be better", "The records show nothing that should change.\n\n"]);
});

it("a dead chat counts as offered to a chat that has not had a prompt, too", async () => {
  const home = aSeededHome();
  home.alive.add(500);
  addSession(home, { id: "dddd5555-0000-4000-8000-000000000006", pid: 500, entries: [] });
  for (const project of [home.project, home.other])
    offer(home.runtime, "dddd5555-0000-4000-8000-000000000006", { project });
  expect((await home.shim("report")).out).toContain("- 2 of the 2 chats that died were offered to 1 chat ");
});

it("a week without chats is said to have none, one that is over has no advice, and one that is none is wrong usage", async () => {
  const home = aSeededHome();
  const { out } = await home.shim("report --week 2023-W01");
  expect(out).toEqual(
    holding(
      "# SHIM, 2023-W01\n\n2023-01-02 to 2023-01-08, UTC.\n\n**No chat worked on this machine.**\n",
      "## What died\n\nNothing.\n",
      "- 0 of the 0 chats that died were offered to 0 chats.\n",
      "## What it cost\n\nNo client reported a cost.\n",
      "## What SHIM changed, and why\n\nNothing.\n",
    ),
  );
  expect(out).not.toContain("What could be better");
  expect(await home.shim("report")).toMatchObject(printed("**4 chats, and none died.**\n"));
  await home.misuses("report", [
    ["--week 2023-W99", '"2023-W99" is no week. Name one such as 2023-W46.'],
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
