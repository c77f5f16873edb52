import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import type { Self } from "#src/contract/values.ts";
import { showApp } from "#harness/web/app-client.ts";
import { axeFaults, closeBrowser } from "#harness/web/browser.ts";

const root = join(import.meta.dirname, "..", "..");
mkdirSync(join(root, ".scratch"), { recursive: true });
const folder = mkdtempSync(join(root, ".scratch", "mcp-app-"));
let started: Promise<LocalEdge> | null = null;

/** One workerd for this file, and so one team that grows. */
function theEdge(): Promise<LocalEdge> {
  const entry = join(root, "src", "worker", "worker-entry.ts");
  started ??= startEdge({ entry, folder }).then((parts) => new LocalEdge(parts));
  return started;
}

afterAll(async () => {
  await closeBrowser();
  await (await started)?.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function register(edge: LocalEdge, chat: string, machine = "m1"): Promise<Self> {
  const about = { chat, session: chat, process: `p-${chat}`, machine, client: "claude-code" };
  const { incarnation } = await edge.call("chats.register", { ...about, metadata: { title: "a sealed title" } });
  return { chat, incarnation };
}

const markup = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`;
const everyMs = 15_000;

it("[RM19] [RM20] the app shows chats, tasks and leases, and text of chats as text @night", async () => {
  const edge = await theEdge();
  const self = await register(edge, "chat-with-markup", markup.slice(0, 50));
  await edge.call("leases.acquire", { self, resource: `file:p1/${markup}`, requestId: "r1", ttlMs: 600_000 });
  await edge.call("tasks.submit", {
    tasks: [{ type: "build", payload: { note: markup }, tags: [markup.slice(0, 40)] }],
  });
  const { claims } = await edge.call("tasks.claim", { self, requestId: "c1", limit: 1 });
  const [{ task, claim } = { task: 0, claim: 0 }] = claims;
  await edge.call("tasks.heartbeat", { self, task, claim, progress: { percent: 40, note: markup } });
  const { app, page, faults } = await showApp(edge.url, edge.adminToken);
  await app.getByRole("link", { name: `claude-code on ${markup.slice(0, 50)}` }).waitFor();
  expect(await app.getByText("sealed").count()).toBe(0);
  expect(await app.getByText("no cost").count()).toBe(0);
  await app.getByRole("link", { name: "Fleet" }).press("Control+k");
  await app.getByLabel("Search chats").pressSequentially("laptop-none");
  await app.getByText("No chat matches the search.").waitFor();
  await app.getByRole("link", { name: "Tasks" }).click();
  await app.getByRole("cell", { name: `40 % ${markup}` }).waitFor();
  await app.getByRole("link", { name: `#${task}` }).click();
  await app.getByText("onerror").first().waitFor();
  await app.getByRole("link", { name: "Files" }).click();
  await app.getByRole("cell", { name: markup, exact: true }).waitFor();
  await app.getByRole("link", { name: "chat-" }).click();
  await app.getByText("its own machine, where the key is").waitFor();
  expect(await app.locator("img, main script").count()).toBe(0);
  expect(await page.frames()[1]?.title()).toBe("SHIM");
  expect(page.frames()[1]?.url()).toBe("about:srcdoc");
  expect(faults).toEqual([]);
});

it("[RM19] the app reads again while it is seen, when the chat calls the tool, and when it is asked to @night", async () => {
  const edge = await theEdge();
  await register(edge, "first", "laptop-1");
  const { client, app, page, calls, bridge, faults } = await showApp(edge.url, edge.adminToken);
  await app.getByText("claude-code on laptop-1").waitFor();
  await app.getByText("live", { exact: true }).waitFor();
  expect(calls.map(({ name }) => name)).toEqual(["chats_list"]);
  await register(edge, "second", "laptop-2");
  await page.clock.fastForward(everyMs);
  await page.clock.runFor(1_000);
  await app.getByText("claude-code on laptop-2").waitFor();
  await register(edge, "third", "laptop-3");
  await bridge("sendToolInput", { arguments: {} });
  await bridge("sendToolResult", await client.callTool({ name: "chats_list", arguments: {} }));
  await page.clock.runFor(1_000);
  await app.getByText("claude-code on laptop-3").waitFor();
  await register(edge, "fourth", "laptop-4");
  await app.getByRole("button", { name: "Read again" }).click();
  await page.clock.runFor(1_000);
  await app.getByText("claude-code on laptop-4").waitFor();
  expect(calls).toHaveLength(4);
  await bridge("teardownResource", {});
  await app.getByText("not live").waitFor();
  await page.clock.fastForward(4 * everyMs);
  expect(calls).toHaveLength(4);
  expect(faults).toEqual([]);
});

it("[RM19] an action asks once, and is a call of a tool that the client may refuse", async () => {
  const edge = await theEdge();
  const { tasks } = await edge.call("tasks.submit", { tasks: [{ type: "lint" }] });
  const task = tasks[0]?.task ?? 0;
  let isAllowed = false;
  const { app, page, calls } = await showApp(edge.url, edge.adminToken, {
    isAllowed: ({ name }) => isAllowed || name !== "tasks_cancel",
  });
  await app.getByRole("link", { name: "Tasks" }).click();
  // What is read later would move the link away from under the pointer.
  await app.getByText("Lanes, by type").waitFor();
  await app.getByLabel("State").selectOption("queued");
  await app.getByRole("link", { name: `#${task}` }).click();
  await app.getByRole("button", { name: "Cancel task" }).click();
  await app.getByRole("dialog").getByRole("button", { name: "Cancel task" }).click();
  await app.getByText("This client did not call tasks_cancel: the user refused it").waitFor();
  await app.getByText("not live").waitFor();
  const before = calls.length;
  await page.clock.fastForward(4 * everyMs);
  expect(calls).toHaveLength(before);
  isAllowed = true;
  await app.getByRole("dialog").getByRole("button", { name: "Cancel task" }).click();
  await app.getByText(`Task #${task} is cancelled`).waitFor();
  expect((await edge.call("tasks.get", { task })).state).toBe("cancelled");
  expect(new Set(calls.map(({ name }) => name))).toEqual(
    new Set([
      "chats_list",
      "tasks_stats",
      "tasks_progress",
      "tasks_list",
      "tasks_get",
      "tasks_history",
      "tasks_cancel",
    ]),
  );
});

it("[RM19] a chat that died shows the command that continues it, also where the client lets nothing be copied", async () => {
  const edge = await theEdge();
  const record = {
    kind: "session",
    session: "died-1",
    project: "prj_1",
    ageMs: 0,
    replaces: 0,
    envelope: "sealed-text",
  } as const;
  await edge.call("sync.put", { device: "d1", keyId: "0123456789abcdef", records: [record] });
  await register(edge, "died-1", "laptop-7");
  await edge.call("chats.attest-death", { chat: "died-1", machine: "laptop-7", process: "p-died-1" });
  const { app, faults } = await showApp(edge.url, edge.adminToken);
  const card = app.getByRole("listitem").filter({ hasText: "laptop-7" });
  await card.getByText("shim resume died-1").waitFor();
  await card.getByRole("button", { name: "Copy" }).click();
  await app.getByText("This client lets the page copy nothing").waitFor();
  expect(faults).toEqual([expect.stringContaining("Clipboard API has been blocked")]);
});

it("[RM19] where the client calls no tools, the app shows what the chat was answered", async () => {
  const edge = await theEdge();
  await register(edge, "answered", "laptop-5");
  const { client, app, page, calls, bridge } = await showApp(edge.url, edge.adminToken, { capabilities: {} });
  await app.getByText("The chat has got no answer yet.").waitFor();
  await bridge("sendToolInput", { arguments: {} });
  await bridge("sendToolResult", await client.callTool({ name: "chats_list", arguments: {} }));
  await page.clock.runFor(1_000);
  await app.getByText("claude-code on laptop-5").waitFor();
  await app.getByText("not live").waitFor();
  expect(await app.getByRole("link", { name: "Tasks" }).count()).toBe(0);
  expect(calls).toEqual([]);
});

it("[RM19] a token that may only observe sees all of it, and is refused an action", async () => {
  const edge = await theEdge();
  const { tasks } = await edge.call("tasks.submit", { tasks: [{ type: "audit" }] });
  const { token } = await edge.call("tokens.create", { machine: "phone", scope: "observe" });
  const { app } = await showApp(edge.url, token);
  await app.getByRole("link", { name: "Tasks" }).click();
  // What is read later would move the link away from under the pointer.
  await app.getByText("Lanes, by type").waitFor();
  await app.getByLabel("State").selectOption("queued");
  await app.getByRole("link", { name: `#${tasks[0]?.task}` }).click();
  await app.getByRole("button", { name: "Cancel task" }).click();
  await app.getByRole("dialog").getByRole("button", { name: "Cancel task" }).click();
  await app.getByText("this token has no tool").waitFor();
});

it("[RM20] the app follows the client's theme, and axe finds nothing wrong in either @night", async () => {
  const edge = await theEdge();
  await register(edge, "themed", "laptop-6");
  const { app, page, bridge } = await showApp(edge.url, edge.adminToken, { hostContext: { theme: "light" } });
  await app.getByText("claude-code on laptop-6").waitFor();
  const [, frame] = page.frames();
  const background = (): unknown => frame?.evaluate("getComputedStyle(document.body).backgroundColor");
  expect(await background()).toBe("rgb(255, 255, 255)");
  expect(await axeFaults(page)).toEqual([]);
  await bridge("setHostContext", { theme: "dark" });
  await expect.poll(background, { timeout: 30_000 }).toBe("rgb(20, 22, 26)");
  expect(await axeFaults(page)).toEqual([]);
  await app.getByRole("link", { name: "Tasks" }).click();
  await app.getByText("Lanes, by type").waitFor();
  expect(await axeFaults(page)).toEqual([]);
});

it("[RM19] [RM4] the app reads all pages of a list, and says where it stops @night", async () => {
  const edge = await theEdge();
  await edge.call("settings.set", { settings: { maxConcurrentChats: 1_000 } });
  const names = Array.from({ length: 510 }, (_, number) => `many-${number}`);
  while (names.length > 0) await Promise.all(names.splice(0, 30).map((name) => register(edge, name, "crowd")));
  const { app, calls } = await showApp(edge.url, edge.adminToken);
  await app.getByText("Only the first 500 chats are shown.").waitFor();
  const summary = await app.locator(".summary").textContent();
  const shown = [...(summary ?? "").matchAll(/(\d+) [a-z]/g)].map(([, count]) => Number(count));
  expect(shown.reduce((sum, count) => sum + count)).toBe(500);
  expect(calls.length).toBeGreaterThan(3);
});
