import { expect, it } from "vitest";
import { currentState } from "../../src/local-mcp/checkpoints/capture.ts";
import { Claude } from "../support/builders.ts";
import { tempRuntime } from "../support/temp-runtime.ts";

it("[HO8] a prompt that had to wait in the spool stays before the next one: the newest request is the last", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const claude = new Claude(runtime);
  claude.start();
  const writer = tempRuntime({ beside: runtime }).store.connection();
  writer.run("BEGIN IMMEDIATE");
  expect(claude.prompt("fix the parser")).toEqual({});
  writer.run("COMMIT");
  claude.prompt("write the changelog");
  const state = runtime.store.read((sql) => currentState(sql, claude.session), null);
  expect(state).toMatchObject({ firstPrompt: "fix the parser", lastPrompt: "write the changelog" });
});
