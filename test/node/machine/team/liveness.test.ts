import { expect, it, vi } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { openTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { TeamChat } from "#src/machine/team/team-chat.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { platformOf } from "#harness/edge/edge-clients.ts";
import { edgeUrl, token } from "#harness/edge/fake-edge.ts";
import { rowCount } from "#harness/machine/claude.ts";
import { connect, type ConnectOptions } from "#harness/machine/mcp-client.ts";
import { TeamRig, type TeamChat as RigChat } from "#harness/team/team-rig.ts";

/** Two chats of Claude Code at an edge. */
async function atEdge(): Promise<{ rig: TeamRig; one: RigChat; other: RigChat }> {
  const rig = new TeamRig();
  writeEdgeConfig(rig.base.paths.home, { url: edgeUrl, workspace: "w1", machine: "m1", token });
  const [one, other] = [await rig.chat("plan it"), await rig.chat("build it")];
  for (const chat of [one, other]) await rig.time.until(chat.tick());
  return { rig, one, other };
}

/** As the coordinator has it. */
async function stateAt(rig: TeamRig, chat: string): Promise<string> {
  const { status, reason } = given(await rig.edge.host.call("chats.get", { chat }));
  return status === "offline" ? `offline: ${reason}` : "alive";
}

it("a chat of a client without session ids is attested dead with its server, whether its client lives or not", async () => {
  for (const ending of ["client_gone", "server_gone"] as const) {
    const { rig } = await atEdge();
    const platform = platformOf(rig.edge, rig.machine, 501);
    const team: ConnectOptions["team"] = (client, server) => openTeam(rig.base, server, () => client, platform);
    const plain = await connect(rig.base, { serverPid: 500, clientPid: 600, name: "claude-ai", team });
    await rig.time.until(plain.ask("shim_force_checkpoint", { goal: "one" }));
    const id = plain.chat.current() ?? "";
    await rig.time.until(plain.chat.team?.follow(id) ?? Promise.resolve());
    expect(await stateAt(rig, id)).toBe("alive");
    await rig.time.until(plain.chat.team?.end(ending) ?? Promise.resolve());
    expect(await stateAt(rig, id)).toBe("offline: attested");
    // The host goes on with a client that lives.
    await rig.time.until(plain.chat.team?.follow(id) ?? Promise.resolve());
    expect(await stateAt(rig, id)).toBe("offline: attested");
  }
});

it("a living chat whose server is gone is kept by its last process, until its client ends", async () => {
  const { rig, one } = await atEdge();
  const { session } = one.claude;
  await rig.time.until(one.team.end("server_gone"));
  await rig.time.pass(600_000);
  expect(await stateAt(rig, session)).toBe("alive");
  one.claude.kill();
  await rig.time.until(one.team.end("client_gone"));
  expect(await stateAt(rig, session)).toBe("offline: attested");
});

it("the next server of the client takes over its chat, with the chat's task and without a notice", async () => {
  const { rig, one } = await atEdge();
  await rig.time.until(one.ask("shim_submit", { tasks: [{ type: "a" }] }));
  await rig.time.until(one.ask("shim_next"));
  await rig.time.until(one.team.end("server_gone"));
  const next = await rig.attach(one.runtime, one.claude, one.claude.pid + 5);
  await rig.time.until(next.tick());
  await rig.time.pass(60_000);
  await rig.time.until(one.tick());
  expect(await stateAt(rig, one.claude.session)).toBe("alive");
  expect(rowCount(rig.base, "team_holdings")).toBe(1);
  const news = await rig.time.until(next.news());
  expect(JSON.stringify(news)).not.toContain("no longer in the team");
  await one.team.end("goes_on");
  await rig.time.pass(60_000);
  expect(await stateAt(rig, one.claude.session)).toBe("alive");
});

it("a living chat whose processes were all killed is kept by another process of the machine", async () => {
  const { rig, one, other } = await atEdge();
  const { session } = one.claude;
  await one.team.end("goes_on");
  for (let times = 0; times < 60; times++) {
    await rig.time.pass(2_000);
    await rig.time.until(watch(other));
  }
  expect(await stateAt(rig, session)).toBe("alive");
});

it("a client that was killed with its server is attested dead within two seconds by one process of the machine", async () => {
  const { rig, one, other } = await atEdge();
  const { session } = one.claude;
  await one.team.end("goes_on");
  await rig.time.pass(2_000);
  await rig.time.until(watch(other));
  expect(await stateAt(rig, session)).toBe("alive");
  one.claude.kill();
  await rig.time.pass(2_000);
  await rig.time.until(watch(other));
  expect(await stateAt(rig, session)).toBe("offline: attested");
  const stored = rig.base.store.read((sql) => sessions.get(sql, session), null);
  expect(stored?.deathAt).not.toBeNull();
});

async function watch({ team }: RigChat): Promise<void> {
  for (const one of team.watches()) await one.checkMembers();
}

it("once another machine's changes are pulled a chat asks what it may continue", async () => {
  const { other } = await atEdge();
  const check = vi.spyOn(TeamChat.prototype, "checkOtherMachines");
  other.team.onPulled();
  expect(check).toHaveBeenCalledTimes(1);
  check.mockRestore();
});
