import { expect, it } from "vitest";
import * as sessions from "../../../../src/local-mcp/sessions/sessions.ts";
import { TeamDesk } from "../../../support/team-desk.ts";

it("[CL81] other chats are told the name of a session that has one", async () => {
  const desk = new TeamDesk();
  const mate = await desk.mate("plan it");
  desk.base.store.write((sql) => sessions.rename(sql, mate.claude.session, "Plan of March"));
  await mate.tick();
  expect(desk.call("chats.list", {}).chats[0]).toMatchObject({ metadata: { title: "Plan of March" } });
});
