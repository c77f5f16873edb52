import { expect, it, vi } from "vitest";
import type { McpConnection } from "../../demo/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import { answered, startServer } from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/temp-store.ts";

/** The death of a process is seen by others a moment later. */
const patience = { timeout: 25_000, interval: 200 };

/** A chat of a client without sessions of its own: its life is its server's. */
async function aChat(paths: Paths, goal: string): Promise<{ server: McpConnection; session: string }> {
  const server = await startServer(paths);
  const { session } = await answered(server, "shim_force_checkpoint", { goal, project: paths.home });
  return { server, session: String(session) };
}

it("[TE4] [TE13] [TE42] two processes of one machine are a team; when one is killed its task continues in the other", async () => {
  const paths = tempHome();
  const [one, other] = [await aChat(paths, "plan"), await aChat(paths, "build")];
  await answered(one.server, "shim_submit", { tasks: [{ type: "build", payload: { part: "parser" } }] });
  const taken = await answered(other.server, "shim_next", {});
  expect(taken).toMatchObject({ task: { task: 1, payload: { part: "parser" }, isNew: true } });
  await answered(other.server, "shim_report", { outcome: "progress", note: "half", percent: 50 });
  const chats = await answered(one.server, "shim_chats", {});
  const working = { chat: other.session, status: "busy", tasks: [{ task: 1, percent: 50, note: "half" }] };
  const listed = chats["chats"] as { readonly chat: string }[];
  expect(listed.find(({ chat }) => chat === other.session)).toMatchObject(working);
  await answered(other.server, "shim_send", { to: one.session, text: "half is done" });
  expect(await answered(one.server, "shim_inbox", {})).toMatchObject({
    news: [{ kind: "message", from: other.session, text: "half is done" }],
  });
  const reserve = { action: "reserve", paths: ["src/**"], project: paths.home };
  await answered(other.server, "shim_files", reserve);
  expect(await one.server.callTool("shim_files", reserve)).toMatchObject({
    isError: true,
    text: expect.stringContaining(other.session) as string,
  });
  other.server.process.kill("SIGKILL");
  await other.server.ended;
  await vi.waitFor(async () => {
    const next = await answered(one.server, "shim_next", {});
    expect(next).toMatchObject({
      task: { task: 1, progress: { note: "half" }, checkpoint: { session: other.session } },
    });
  }, patience);
  await vi.waitFor(async () => {
    const files = await answered(one.server, "shim_files", reserve);
    expect(files).toMatchObject({ files: [{ path: "src/**", isSelf: true }] });
  }, patience);
  await answered(one.server, "shim_report", { outcome: "done", result: { lines: 7 } });
  expect(await answered(one.server, "shim_chats", {})).toMatchObject({ tasks: { completedTasks: 1, totalTasks: 1 } });
  one.server.process.stdin.end();
  expect(await one.server.ended).toEqual({ code: 0, signal: null });
  expect(one.server.stray).toEqual([]);
});
