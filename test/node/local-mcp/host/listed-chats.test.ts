import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { aDeadClaude, anotherClaude, aProject, Claude, storedSession } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { twoChats } from "#harness/team/team-rig.ts";

it("what the chat was offered is listed and counted first, and is marked so", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, "fix the parser");
  const elsewhere = new Claude(runtime, { cwd: aProject(), session: "lexer-chat" });
  elsewhere.turn("write the lexer");
  elsewhere.kill();
  const chat = anotherClaude(runtime, dead);
  chat.start();
  const { ask } = await connect(runtime, { clientPid: chat.pid });
  const listed = await ask("shim_check_recovery", { list: true });
  expect(listed.output["incomplete"]).toMatchObject([
    { session: dead.session, title: "fix the parser", cause: "killed", offeredHere: true },
    { session: elsewhere.session, title: "write the lexer" },
  ]);
  expect(listed.text).toMatch(/^- "fix the parser" \(20487890-.*\) in \/.*: killed; offered to this chat$/m);
  expect(listed.output["brief"]).toBeUndefined();
  const { text, output } = await ask("shim_session_status");
  expect(text).toContain(
    "idle; not saved yet; checkpoints: 0; other sessions that died: 2, 1 of them offered to this chat.",
  );
  expect(output).toMatchObject({ died: 2, offeredHere: 1 });
  runtime.wait(120_000);
  const third = anotherClaude(runtime, dead, { session: "third-chat", pid: 3_000 });
  third.start();
  const other = await connect(runtime, { clientPid: third.pid });
  const offered = { session: dead.session, offeredTo: chat.session, offeredMsAgo: 120_020 };
  const seen = await other.ask("shim_check_recovery", { list: true });
  expect(seen.output["incomplete"]).toContainEqual(expect.objectContaining(offered));
  expect(seen.text).toContain(`killed; offered to chat ${chat.session}, 2 min ago`);
});

it("a list makes no offer, and goes with no other choice", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, "fix the parser");
  const chat = anotherClaude(runtime, dead);
  chat.prompt("look around");
  const { ask, refusal } = await connect(runtime, { clientPid: chat.pid });
  const { output, text } = await ask("shim_check_recovery", { list: true });
  expect(output["incomplete"]).toMatchObject([{ session: dead.session }]);
  expect(text).not.toContain("offered");
  expect(storedSession(runtime, dead.session).recovery).toBeNull();
  for (const other of [{ take: true }, { dismiss: true }, { of: dead.session }])
    expect(await refusal("shim_check_recovery", { list: true, ...other })).toContain("contradiction");
  expect(storedSession(runtime, dead.session).recovery).toBeNull();
  expect((await ask("shim_session_status")).output).toMatchObject({ died: 1, title: "look around" });
});

it("shim_chats shows each chat's project, and at once which of this machine waits for its user since when", async () => {
  const { rig, one, other } = await twoChats();
  one.claude.tell("Notification", { message: "x", notification_type: "permission_prompt" });
  rig.base.wait(120_000);
  rig.base.store.write((sql) => sessions.rename(sql, one.claude.session, "the parser"));
  const { output, text } = await other.ask("shim_chats");
  const { project } = storedSession(rig.base, one.claude.session);
  expect(output["chats"]).toContainEqual(
    expect.objectContaining({
      chat: one.claude.session,
      name: "the parser",
      project,
      state: "waits",
      detail: "your permission",
      waitingMs: 120_000,
    }),
  );
  expect(text).toContain(`in ${project}: `);
  expect(text).toContain("waits for you (your permission) for 2 min");
  expect(text).toContain('"you" is the user of that chat');
  one.claude.use("Bash", { command: "deploy" });
  expect((await other.ask("shim_chats")).text).not.toContain("waits");
});
