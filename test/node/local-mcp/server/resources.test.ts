import { expect, it } from "vitest";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { aChat } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-client.ts";

it("[CL81] the resource of a session is listed by the name that its user has given it", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  runtime.store.write((sql) => sessions.rename(sql, claude.session, "the grammar"));
  const { resources } = await (await connect(runtime)).client.listResources();
  expect(resources.find(({ uri }) => uri.startsWith("shim://sessions/"))?.name).toBe("the grammar");
});
