import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { axeFaults, closeBrowser, openTab } from "#harness/web/browser.ts";
import { built } from "#harness/web/live-page.ts";

/** With the page that `npm run build` made. */
function anEdge(): Promise<EdgeRuntime> {
  return EdgeRuntime.open({ page: join(built, "web") });
}

afterAll(closeBrowser);

function aChat(chat: string): Parameters<typeof EdgeRuntime.prototype.call<"chats.register">>[1] {
  return {
    chat,
    session: chat,
    process: `p-${chat}`,
    machine: "m1",
    client: "claude-code",
    metadata: { title: `Work of ${chat}` },
  };
}

it("a pasted token signs in, stays out of the address and of what the browser keeps, and only acts within its scope @night", async () => {
  const edge = await anEdge();
  const { self } = await register(edge, "chat-1");
  await edge.call("leases.acquire", { self, resource: "file:p1/src/a.ts", requestId: "r1", ttlMs: 600_000 });
  const { token } = await edge.call("tokens.create", { machine: "browser", scope: "observe" });
  const { page, faults } = await openTab(edge.url);
  await page.getByLabel("Access token").fill("nonsense");
  await page.keyboard.press("Enter");
  await page.getByText("This is no access token of SHIM.").waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.getByLabel("Access token").fill(token);
  await page.keyboard.press("Enter");
  await page.getByText("Work of chat-1").waitFor();
  expect(page.url()).toBe(`${edge.url}/`);
  expect(await page.evaluate("JSON.stringify([document.cookie, localStorage.length, sessionStorage.length])")).toBe(
    '["",0,0]',
  );
  expect(await page.getByRole("link", { name: "Experiments" }).count()).toBe(0);
  await page.evaluate('location.hash = "#/experiments"');
  await page.getByText("only on the machine").waitFor();
  await page.evaluate('location.hash = "#/files"');
  await page.getByRole("button", { name: "Release" }).click();
  await page.getByRole("button", { name: "Force release" }).click();
  await page.getByRole("dialog").getByRole("alert").waitFor();
  expect((await edge.call("leases.list", {})).leases).toHaveLength(1);
  await page.keyboard.press("Escape");
  await page.evaluate('location.hash = "#/tasks"');
  await page.getByText("No task was submitted yet.").waitFor();
  await edge.call("tasks.submit", { tasks: [{ type: "build" }] });
  await page.getByText("0 % of 1 task done").waitFor();
  expect(faults).toEqual([]);
});

async function register(edge: EdgeRuntime, chat: string): Promise<{ self: { chat: string; incarnation: number } }> {
  const { incarnation } = await edge.call("chats.register", aChat(chat));
  return { self: { chat, incarnation } };
}

it("the page follows the workspace over its socket, opened with a ticket that is in no address @night", async () => {
  const edge = await anEdge();
  const { page, faults } = await openTab(edge.url);
  const addresses: string[] = [];
  page.on("websocket", (socket) => addresses.push(socket.url()));
  await page.getByLabel("Access token").fill(edge.adminToken);
  await page.keyboard.press("Enter");
  await page.getByText("live", { exact: true }).waitFor();
  await register(edge, "chat-2");
  await page.getByText("Work of chat-2").waitFor();
  expect(addresses).toEqual([`${edge.url.replace("http", "ws")}/v1/workspaces/team/connect`]);
  await page.evaluate('location.hash = "#/health"');
  const { id } = await edge.call("tokens.create", { machine: "old-laptop", scope: "work" });
  await page.reload();
  await page.getByLabel("Access token").fill(edge.adminToken);
  await page.keyboard.press("Enter");
  await page.getByRole("cell", { name: "old-laptop", exact: true }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole("row", { name: "old-laptop" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("revoked", { exact: true }).waitFor();
  const { tokens } = await edge.call("tokens.list", {});
  expect(tokens.find((one) => one.id === id)?.isRevoked).toBe(true);
  expect(faults).toEqual([]);
});

it("the link of a hand-over opened in a browser says what to type, asks the coordinator for nothing, and uses nothing up @night", async () => {
  const edge = await anEdge();
  const link = `${edge.url}/take#${"a".repeat(44)}.${"b".repeat(22)}`;
  const answer = await fetch(link);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
  const { page, faults } = await openTab(link, { permissions: ["clipboard-read", "clipboard-write"] });
  const asked: string[] = [];
  page.on("request", (request) => {
    if (!request.url().endsWith("/icon.svg")) asked.push(request.url());
  });
  const command = `shim take '${link}'`;
  await page.getByText(command).waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied.").waitFor();
  expect(await page.evaluate("navigator.clipboard.readText()")).toBe(command);
  expect([await axeFaults(page), faults, asked]).toEqual([[], [], []]);
  await page.evaluate('location.hash = "#cut"');
  await page.getByText("This is not all of the link: copy it again.").waitFor();
  expect(await page.getByRole("button", { name: "Copy" }).isDisabled()).toBe(true);
});
