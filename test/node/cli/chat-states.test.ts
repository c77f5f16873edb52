import { expect, it } from "vitest";
import type { Fleet } from "#src/contract/machine/page.ts";
import { stateText, type ShownState } from "#src/contract/chat-state.ts";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { rowsOf } from "#src/web/fleet-groups.ts";
import { aCliHome, withRuntime } from "#harness/machine/cli-home.ts";
import { TeamRig, type TeamChat } from "#harness/team/team-rig.ts";

const minuteMs = 60_000;
const permission = { message: "Claude needs your permission to use Bash", notification_type: "permission_prompt" };

interface Shown extends ShownState {
  readonly id?: string;
  readonly chat?: string;
}

/** One chat in each state, all of one project and in the team. */
async function oneOfEach() {
  const rig = new TeamRig();
  const stuck = await rig.chat("think hard");
  await stuck.tick();
  await rig.time.pass(16 * minuteMs);
  const waits = await rig.chat("deploy it");
  const works = await rig.chat("build it");
  const idle = await rig.chat("read it");
  const ended = await rig.chat("plan it");
  const died = await rig.chat("write it");
  for (const one of [waits, works, idle, ended, died]) await one.tick();
  waits.claude.tell("Notification", permission);
  idle.claude.stop();
  ended.claude.stop();
  ended.claude.tell("SessionEnd", { reason: "prompt_input_exit" });
  await ended.team.end("over");
  died.claude.kill();
  await rig.time.pass(1_000);
  const chats = { waits, works, idle, stuck, died, ended };
  const words = {
    waits: "waits for you (your permission)",
    works: "works",
    idle: "idle",
    stuck: "stuck",
    died: "died (killed)",
    ended: "ended (finished)",
  };
  const expected = Object.entries(chats).map(([name, { claude }]): [string, string] => [
    claude.session,
    words[name as keyof typeof words],
  ]);
  return { rig, chats, expected: new Map(expected) };
}

/** The command line on the machine of the chats. */
function commands({ base }: TeamRig) {
  const home = aCliHome();
  home.now = base.now();
  const io = { ...withRuntime(base), env: { ...home.runtime.env, SHIM_HOME: base.paths.home } };
  return {
    text: async (command: string): Promise<string> => (await home.shimWith(io, command)).out,
    json: async (command: string): Promise<Record<string, unknown>> =>
      (await home.shimWith(io, `${command} --json`)).json(),
  };
}

async function own(one: TeamChat): Promise<string> {
  return stateText((await one.ask("shim_session_status")).output as unknown as ShownState);
}

async function onPage(rig: TeamRig): Promise<Map<string, string>> {
  const fleet = (await commands(rig).json("call page.fleet")) as unknown as Fleet;
  expect(fleet.trouble).toBeNull();
  return textsOf(rowsOf(fleet));
}

function textsOf(all: unknown): Map<string, string> {
  return new Map((all as Shown[]).map((one) => [one.id ?? one.chat ?? "", stateText(one)]));
}

it("one chat in each state is shown in the same words by every list, the page and the tools @night", async () => {
  const { rig, chats, expected } = await oneOfEach();
  const { json } = commands(rig);
  const present = new Map([...expected].filter(([, words]) => !/^(died|ended)/.test(words)));
  expect(textsOf((await json("sessions"))["sessions"])).toEqual(expected);
  expect(textsOf((await json("team chats --all"))["chats"])).toEqual(expected);
  expect(textsOf((await json("team chats"))["chats"])).toEqual(present);
  const up = await json("up");
  expect(textsOf(up["sessions"])).toEqual(expected);
  expect(textsOf((up["team"] as { chats: unknown }).chats)).toEqual(present);
  expect(await onPage(rig)).toEqual(expected);
  const { output } = await chats.works.ask("shim_chats", { all: true });
  expect(textsOf(output["chats"])).toEqual(expected);
  const line = renderStatus(
    statusOf(rig.base, JSON.stringify({ session_id: chats.works.claude.session })),
    rig.base.now(),
  );
  expect(line).toMatch(/\| 1 waits for you \| 1 stuck \| 1 died\n/);
  for (const one of [chats.waits, chats.works, chats.idle])
    expect(await own(one)).toBe(expected.get(one.claude.session));
  // Its call is a sign of work.
  expect(await own(chats.stuck)).toBe("works");
});

it("what a person reads has the words of JSON, in both panes of `up` and in the timeline @night", async () => {
  const { rig, chats, expected } = await oneOfEach();
  const { text } = commands(rig);
  const up = await text("up --once");
  for (const words of expected.values()) expect(up).toContain(`  ${words}`);
  const inTeam = up.slice(up.indexOf("Team ("));
  expect(inTeam).toContain("  waits for you (your permission)");
  const firstWords = async (one: TeamChat): Promise<string | undefined> =>
    (await text(`sessions show ${one.claude.session}`)).split("\n")[1];
  expect(await firstWords(chats.waits)).toBe("waits for you (your permission)");
  expect(await firstWords(chats.died)).toMatch(/^died \(killed\)\. /);
  expect(await text("sessions")).toMatch(/ waits for you +your permission /);
  expect(await text("team chats")).toMatch(/ waits for you +your permission /);
});

it("a chat that this machine knows to have ended is in no list of those that are present, though its coordinator has it as idle @night", async () => {
  const { rig, chats } = await oneOfEach();
  const { json } = commands(rig);
  const id = chats.idle.claude.session;
  rig.base.store.write((sql) => sessions.setRecovery(sql, rig.base.now(), id, "dismissed", null));
  expect(rig.call("chats.get", { chat: id })).toMatchObject({ status: "idle" });
  expect(textsOf((await json("sessions"))["sessions"]).get(id)).toBe("ended (dismissed)");
  expect(textsOf((await json("team chats --all"))["chats"]).get(id)).toBe("ended (dismissed)");
  const { team } = (await json("up")) as { team: { chats: unknown } };
  const present = [textsOf((await json("team chats"))["chats"]), textsOf(team.chats), await onPage(rig)];
  expect(present.map((one) => [one.size > 0, one.has(id)])).toEqual([
    [true, false],
    [true, false],
    [true, false],
  ]);
});
