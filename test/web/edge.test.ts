import type { Page, Route } from "playwright-core";
import { afterAll, expect, it, vi } from "vitest";
import type { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import type { CliHome } from "#harness/machine/cli-home.ts";
import { patience } from "#harness/machine/programs.ts";
import { aPermission } from "#harness/machine/request-rig.ts";
import { axeFaults, closeBrowser, go, openTab } from "#harness/web/browser.ts";
import { anEdge, openPhoneView, paired, phone } from "#harness/web/paired-phone.ts";
import { fleetIds } from "#harness/web/seeds.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { claimOf, newPairingSecret, pairingFragment, type PairingLink } from "#src/pairing/pairing.ts";
import { hashOf } from "#src/pairing/sealing.ts";
import type { ProgramExit } from "#src/platform/run-program.ts";
import { HostedRuns } from "#src/runtime/hosted-runs.ts";
import { OpenWindows } from "#src/runtime/open-windows.ts";
import type { PermissionRequest } from "#src/runtime/permission-requests.ts";

afterAll(closeBrowser);

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
  const kept = await page.evaluate("JSON.stringify([document.cookie, localStorage.length, sessionStorage.length])");
  expect(kept).toBe('["",0,0]');
  expect(await page.getByRole("link", { name: "Experiments" }).count()).toBe(0);
  await go(page, "experiments", "only on the machine");
  await go(page, "files");
  await page.getByRole("button", { name: "Release" }).click();
  await page.getByRole("button", { name: "Force release" }).click();
  await page.getByRole("dialog").getByRole("alert").waitFor();
  expect((await edge.call("leases.list", {})).leases).toHaveLength(1);
  await page.keyboard.press("Escape");
  await go(page, "tasks", "No task was submitted yet.");
  await edge.call("tasks.submit", { tasks: [{ type: "build" }] });
  await page.getByText("0 % of 1 task done").waitFor();
  expect(faults).toEqual([]);
});

async function register(edge: EdgeRuntime, chat: string): Promise<{ self: { chat: string; incarnation: number } }> {
  const about = { session: chat, process: `p-${chat}`, machine: "m1", client: "claude-code" };
  const { incarnation } = await edge.call("chats.register", { chat, ...about, metadata: { title: `Work of ${chat}` } });
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
  await go(page, "health");
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

it("a read of a workspace that failed after its whole time does not delay the next one", async () => {
  const edge = await anEdge();
  const { page } = await openTab(edge.url);
  await page.getByLabel("Access token").fill(edge.adminToken);
  await page.keyboard.press("Enter");
  await page.getByText("live", { exact: true }).waitFor();
  await page.evaluate(`
    globalThis.delays = [];
    globalThis.lateMs = 0;
    const [now, later] = [performance.now.bind(performance), setTimeout];
    performance.now = () => now() + lateMs;
    setTimeout = (work, ms, ...more) => (delays.push(ms), later(work, ms, ...more));`);
  const { promise: isRead, resolve } = Promise.withResolvers<void>();
  const fail = async (route: Route): Promise<void> => {
    await page.evaluate("lateMs += 10_000");
    await route.abort();
    resolve();
  };
  await page.route("**/chats?**", fail, { times: 1 });
  await register(edge, "chat-1");
  await isRead;
  await register(edge, "chat-2");
  await page.getByText("Work of chat-2").waitFor();
  expect(await page.evaluate("delays.filter((ms) => ms === 10_000)")).toEqual([]);
});

it("the link of a hand-over opened in a browser says what to type, asks the coordinator for nothing, and uses nothing up @night", async () => {
  const link = `${(await anEdge()).url}/take#${"a".repeat(44)}.${"b".repeat(22)}`;
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

function isInstalled(page: Page): Promise<unknown> {
  return page.evaluate("navigator.serviceWorker.ready.then(() => caches.match('/')).then(Boolean)");
}

it("a phone that scans the code sees the fleet, after a reload too, and nothing of the pairing is in its address; where it may only see it has no buttons to answer with, shows its machine, its scope and the kinds of notifications, and forgets its machine", async () => {
  const { home, links, page, faults, ran, tookMs } = await paired();
  expect(ran.code).toBe(0);
  if (process.env["SHIM_PHONE_TIMES"]) process.stdout.write(`phone pairing ${tookMs.toFixed(0)} ms\n`);
  expect(page.url()).not.toContain("pair=");
  expect(await axeFaults(page)).toEqual([]);
  await page.reload();
  await page.getByText("Payments").first().waitFor();
  expect(await page.evaluate("JSON.stringify([document.cookie, localStorage.length])")).toBe('["",0]');
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(375);
  home.runtime.config.answers.isEnabled = true;
  void asks(home, "rm -r build");
  links.changed("sessions");
  await page.getByText("rm -r build").waitFor();
  expect(await page.getByRole("button", { name: /Allow|Deny/ }).count()).toBe(0);
  await page.getByRole("link", { name: "Payments: retry on timeout" }).first().click();
  const conversation = page.getByRole("region", { name: "Conversation" });
  await conversation.getByText("retry the payment when the bank times out").waitFor();
  await conversation.getByText("npm test").click();
  await page.getByText("rm -r build").waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await openPhoneView(page);
  await page.getByText("see chats", { exact: true }).waitFor();
  await page.getByRole("heading", { name: "Notify me" }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(375);
  await page.getByText(/^on$/).waitFor();
  await page.getByRole("button", { name: "Forget this machine" }).click();
  await page.getByRole("heading", { name: "This phone has forgotten its machine" }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.reload();
  await page.getByLabel("Access token").waitFor();
  expect(faults).toEqual([]);
});

/** A phone has these views, and none of those for a team. */
/** A permission that the waiting chat asks for, held as its hook holds it. */
function asks({ runtime }: CliHome, text: string, more: Partial<PermissionRequest> = {}): Promise<unknown> {
  const now = runtime.now();
  const asked = { ...aPermission, text, askedAt: now, endsAt: now + 570_000, ...more };
  return runtime.permissions.open({ id: "k3v9", session: fleetIds.waits, ...asked });
}

it("a permission that a chat asks for is shown with what it would do, and is answered once from the phone", async () => {
  const { home, links, page, faults } = await paired("pair --answer");
  home.runtime.config.answers.isEnabled = true;
  const askedAt = performance.now();
  const decided = asks(home, "rm -r build\nin /home/you/shop");
  links.changed("sessions");
  await page.getByText("rm -r build").waitFor();
  const shownMs = performance.now() - askedAt;
  expect(await axeFaults(page)).toEqual([]);
  const answeredAt = performance.now();
  await page.getByRole("button", { name: "Allow Bash" }).click();
  expect(await decided).toMatchObject({ behavior: "allow" });
  const answerMs = performance.now() - answeredAt;
  await page.getByText("The chat has not shown yet that it runs").waitFor();
  await page.getByText("rm -r build").waitFor({ state: "detached" });
  if (process.env["SHIM_PHONE_TIMES"])
    process.stdout.write(`phone request ${shownMs.toFixed(0)} ms\nphone answer ${answerMs.toFixed(0)} ms\n`);
  const audited = { actor: "phone Pixel 9, Chrome", kind: "request.answered" };
  expect(listNewest(home.runtime, 5)).toContainEqual(expect.objectContaining(audited));
  expect(faults).toEqual([]);
});

it("a long permission is allowed from the phone once all of it was unfolded; of two answers the later one says what was first", async () => {
  const { home, links, page, faults } = await paired("pair --answer");
  home.runtime.config.answers.isEnabled = true;
  const decided = asks(home, `ls ${"x".repeat(21_000)} && rm -rf ~/important\n⟨200 empty lines⟩\nin /home/you/shop`);
  links.changed("sessions");
  await page.getByText("&& rm -rf ~/important").waitFor();
  await page.getByText("⟨200 empty lines⟩").waitFor();
  const allow = page.getByRole("button", { name: "Allow Bash" });
  expect(await allow.count()).toBe(0);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(375);
  await page.getByRole("button", { name: /^Show all of it: 19,\d+ more characters$/ }).click();
  await allow.waitFor();
  const text = "document.querySelector('.asked').textContent.length";
  expect(await page.evaluate(`[${text}, getComputedStyle(document.querySelector('.asked')).maxHeight]`)).toEqual([
    21_061,
    "none",
  ]);
  expect(await axeFaults(page)).toEqual([]);
  await home.shim("requests answer k3v9 deny");
  expect(await decided).toMatchObject({ behavior: "deny" });
  await allow.click();
  await page.getByText("too late, the request k3v9 is over: the command line had denied it").waitFor();
  await page.getByText("Deny was sent. The chat has not shown yet that it came first. the command line").waitFor();
  expect(faults).toEqual([]);
});

const choices = (...labels: readonly string[]) => labels.map((label) => ({ label, description: `part ${label}` }));

it("a question is answered from the phone with choices and own words, and a permission is allowed for the session, which is named", async () => {
  const { home, links, page, faults } = await paired("pair --answer");
  home.runtime.config.answers.isEnabled = true;
  const questions = [
    { question: "Which database?", isMultiple: false, choices: choices("SQLite", "Postgres") },
    { question: "Which parts?", isMultiple: true, choices: choices("A", "B") },
  ];
  const options = questions.map(({ question, isMultiple, choices: all }) => {
    return { question, multiSelect: isMultiple, options: all };
  });
  const kind = { tool: "AskUserQuestion", kind: "question", decisions: ["answer", "deny"], questions } as const;
  const decided = asks(home, "", { ...kind, toolInput: { questions: options } });
  links.changed("sessions");
  await page.getByText("Which database?").first().waitFor();
  const answer = page.getByRole("button", { name: "Answer AskUserQuestion" });
  expect(await answer.isDisabled()).toBe(true);
  await page.getByLabel("Postgres").check();
  await page.getByLabel("A part A").check();
  await page.getByLabel("Own words to: Which parts?").fill("and docs");
  expect(await axeFaults(page)).toEqual([]);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(375);
  await answer.click();
  expect(await decided).toMatchObject({ behavior: "allow", answers: [["Postgres"], ["A", "and docs"]] });
  const grant = { text: "Bash: git push *", rules: [{ type: "addRules" }] };
  const allowed = asks(home, "git push", { id: "s3s5", decisions: ["allow", "session", "deny"], grant });
  links.changed("sessions");
  await page.getByText("For this session: Bash: git push *").waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Allow for this session Bash" }).click();
  expect(await allowed).toMatchObject({ behavior: "allow", rules: grant.rules });
  expect(faults).toEqual([]);
});

it("a dead chat is continued from the phone where its project allows it, and a new chat is started there", async () => {
  const { home, links, page, faults } = await paired("pair --answer");
  const inputs: string[] = [];
  const runs = new HostedRuns(({ input, signal }) => {
    inputs.push(input.slice(-9));
    const { promise, resolve } = Promise.withResolvers<ProgramExit>();
    signal.addEventListener("abort", () => resolve({ kind: "exited", code: 143 }));
    return promise;
  });
  Object.assign(home.runtime, { runs });
  await page.evaluate(`location.hash = "#/chat/${fleetIds.died}"`);
  await page.getByText("shim runs allow").waitFor();
  Object.assign(home.runtime.config, { runs: [{ project: home.project }] });
  links.changed("sessions");
  await page.getByLabel("Continue it here, without a terminal").fill("go on now");
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await vi.waitUntil(() => inputs.length === 1, patience);
  await page.evaluate('location.hash = "#/fleet"');
  await page.getByText("Start a chat").click();
  await page.getByLabel("Client").selectOption("codex");
  await page.getByLabel("The first words").fill("say hello");
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await vi.waitUntil(() => inputs.length === 2, patience);
  expect(inputs).toEqual(["go on now", "say hello"]);
  const audited = { actor: "phone Pixel 9, Chrome", kind: "run.started" };
  expect(listNewest(home.runtime, 5)).toContainEqual(expect.objectContaining(audited));
  expect(faults).toEqual([]);
});

it("the turn of a chat in a window is stopped from the phone, where its project and its client allow that", async () => {
  const { home, links, page, faults } = await paired("pair --answer");
  const acts: unknown[] = [];
  const windows = new OpenWindows((_window, act) => Promise.resolve(acts.push(act) > 0));
  Object.assign(home.runtime, { windows });
  Object.assign(home.runtime.config, { runs: [{ project: home.project }] });
  const nowOf = (client: string): void =>
    void home.runtime.store.write((sql) =>
      sql.run("UPDATE sessions SET client = ? WHERE id = ?", client, fleetIds.works),
    );
  nowOf("qwen");
  await page.evaluate(`location.hash = "#/chat/${fleetIds.works}"`);
  await page.getByText("Go on in a new chat").waitFor();
  const stop = page.getByRole("button", { name: "Stop", exact: true });
  expect(await stop.count()).toBe(0);
  nowOf("codex");
  links.changed("sessions");
  await stop.click();
  await vi.waitUntil(() => acts.length === 1, patience);
  expect(acts).toEqual([{ stop: true }]);
  const audited = { actor: "phone Pixel 9, Chrome", kind: "turn.stopped" };
  expect(listNewest(home.runtime, 1)).toEqual([expect.objectContaining(audited)]);
  expect(await axeFaults(page)).toEqual([]);
  expect(faults).toEqual([]);
});

it("what a phone cannot do it says in words: continue a dead chat, and be notified without a push service", async () => {
  const { page, faults } = await paired("pair --answer");
  await page.context().grantPermissions(["notifications"]);
  await page.evaluate(`location.hash = "#/chat/${fleetIds.died}"`);
  await page.getByText(/^To continue it, type on its machine: shim resume 3333/).waitFor();
  expect(await page.getByRole("button", { name: /Copy/ }).count()).toBe(0);
  await page.evaluate(`void (PushManager.prototype.subscribe = () => {
    globalThis.isAsked = true;
    return new Promise(() => undefined);
  })`);
  await page.clock.install();
  await openPhoneView(page);
  await page.getByText("Notifications are off.").waitFor();
  await page.getByLabel("died").click();
  await page.getByText("Asking the browser and its push service …").waitFor();
  // Before that it waits for the browser's permission, with a time of its own.
  await vi.waitUntil(() => page.evaluate("globalThis.isAsked === true"), patience);
  await page.clock.fastForward(15_000);
  await page.getByText("The browser's push service was not reached. Try again later.").waitFor();
  expect([await page.getByLabel("died").isChecked(), await page.getByLabel("died").isEnabled()]).toEqual([false, true]);
  expect(await axeFaults(page)).toEqual([]);
  expect(faults).toEqual([]);
});

it("a machine that removes the phone cuts its page off, which says how to pair again, after a reload too", async () => {
  const { home, page, faults } = await paired();
  await home.shim("phones", "remove", "Pixel 9, Chrome");
  for (const isAgain of [false, true]) {
    if (isAgain) await page.reload();
    await page.getByRole("heading", { name: "This pairing is over" }).waitFor();
    expect(await page.textContent("body")).not.toContain("Payments");
  }
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Sign in with a token" }).click();
  await page.getByLabel("Access token").waitFor();
  expect(faults).toEqual([]);
});

it("a link that is cut, withdrawn or invented says so, and a reload in between continues the pairing", async () => {
  const edge = await anEdge();
  const { page } = await openTab(`${edge.url}/#pair=cut`, phone);
  await page.getByRole("alert").getByText("not complete").waitFor();
  expect(page.url()).toBe(`${edge.url}/`);
  const link: PairingLink = { id: "", secret: newPairingSecret() };
  const claimHash = await hashOf(await claimOf(link.secret));
  const made = await edge.call("boxes.create", { kind: "phone", claimHash, forMs: 60_000 });
  // Within the open page.
  await page.goto(`${edge.url}/${pairingFragment({ ...link, ...made })}`);
  const number = await page.locator(".check-number").textContent();
  expect(await axeFaults(page)).toEqual([]);
  await page.reload();
  await page.locator(".check-number").waitFor();
  expect(await page.locator(".check-number").textContent()).toBe(number);
  const other = await openTab(`${edge.url}/${pairingFragment({ ...link, ...made })}`, phone);
  await other.page.getByRole("alert").getByText("Another phone").waitFor();
  await edge.call("boxes.end", { kind: "phone", id: made.id });
  await page.getByRole("alert").getByText("This link is over").waitFor();
});

it("a message of the machine is shown by the service worker without the page's help, a broken one shows something; without a network the page is there, and says that the machine is not reachable", async () => {
  const { page } = await paired();
  const { origin } = new URL(page.url());
  await page.context().grantPermissions(["notifications"], { origin });
  expect(await isInstalled(page)).toBe(true);
  const [worker] = page.context().serviceWorkers();
  // As the browser hands a message over, and with the end of what the handler waits for.
  const push = `(data) => new Promise((resolve) => {
    const event = new PushEvent("push", { data });
    event.waitUntil = resolve;
    self.dispatchEvent(event);
  })`;
  const shown = { title: "Payments waits for you", body: "May it run npm test?", tag: "chat-1", url: "/#/fleet" };
  for (const data of [JSON.stringify(shown), "{"]) await worker?.evaluate(`(${push})(${JSON.stringify(data)})`);
  const text = "[one.title, one.body, one.tag, one.data].join(' ')";
  const texts = await worker?.evaluate(
    `registration.getNotifications().then((all) => all.map((one) => ${text}).sort())`,
  );
  const broken = "SHIM A chat needs you. shim /";
  expect(texts).toEqual(["Payments waits for you May it run npm test? chat-1 /#/fleet", broken]);
  await page.reload();
  expect(await isInstalled(page)).toBe(true);
  await page.context().setOffline(true);
  await page.reload();
  await page.getByText(/^Not live since .*: this device has no network\./).waitFor();
  await page.getByText("not live", { exact: true }).waitFor();
  await openPhoneView(page);
  await page.getByText("Paired until").waitFor();
  const urls = "(await (await caches.open((await caches.keys())[0])).keys()).map((one) => one.url).join()";
  const kept = await page.evaluate(`(async () => ${urls})()`);
  expect(kept).toContain("/app-phone-gate");
  expect(kept).not.toMatch(/\/v1\/|\/health/);
});
