import { expect, it } from "vitest";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { TeamRig } from "#harness/team/team-rig.ts";

it("[CL81] other chats are told the name of a session that has one", async () => {
  const rig = new TeamRig();
  const chat = await rig.chat("plan it");
  rig.base.store.write((sql) => sessions.rename(sql, chat.claude.session, "Plan of March"));
  await chat.tick();
  expect(rig.call("chats.list", {}).chats[0]).toMatchObject({ metadata: { title: "Plan of March" } });
});
