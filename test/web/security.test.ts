import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { aCliHome, addSession } from "#harness/machine/cli-home.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { fleetIds, seedFleet } from "#harness/web/fleet-seed.ts";
import { servePage, type ServedPage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

async function aSignedInPage(): Promise<{ served: ServedPage; link: string; page: Page }> {
  const home = aCliHome();
  seedFleet(home);
  const served = await servePage(home, { isBuilt: true });
  const link = served.link();
  const { page } = await openTab(link);
  await page.getByText("Payments").waitFor();
  return { served, link, page };
}

it("the token leaves the address at once, no cookie is set, and the link does not work in another browser @night", async () => {
  const { served, link, page } = await aSignedInPage();
  expect(page.url()).toBe(`${served.origin}/`);
  expect(await page.context().cookies()).toEqual([]);
  expect(await page.evaluate("localStorage.length")).toBe(0);
  await page.reload();
  await page.getByText("Payments").waitFor();
  const other = await openTab(link);
  await other.page.getByText("This page is not signed in").waitFor();
  expect(await other.page.textContent("body")).not.toContain("Payments");
  await other.page.goto("about:blank");
  await other.page.goto(served.link());
  await other.page.getByText("Payments").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("This page is not signed in").waitFor();
  await page.reload();
  await page.getByText("This page is not signed in").waitFor();
});

it("a second tab of the same browser is signed in by the first, with the used link or without, and signed out with it @night", async () => {
  const { served, link, page } = await aSignedInPage();
  const tabs = [page];
  for (const address of [link, served.origin]) {
    const tab = await page.context().newPage();
    tabs.push(tab);
    await tab.goto(address);
    await tab.getByText("Payments").waitFor();
    await tab.reload();
    await tab.getByText("live", { exact: true }).waitFor();
  }
  expect(served.out().match(/#t=/g)).toHaveLength(1);
  await page.getByRole("button", { name: "Sign out" }).click();
  for (const tab of tabs) await tab.getByText("This page is not signed in").waitFor();
});

it("a server at another port of this machine is sent nothing by which it could act as the page", async () => {
  const home = aCliHome();
  seedFleet(home);
  const served = await servePage(home, { isBuilt: true });
  const heard: string[] = [];
  const evil = createServer((request, response) => {
    heard.push(JSON.stringify(request.headers));
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<!doctype html><title>evil</title>");
  });
  await new Promise<void>((done) => evil.listen(0, "127.0.0.1", done));
  onTestFinished(() => void evil.close());
  const { page } = await openTab(served.link());
  await page.getByText("Payments").waitFor();
  const stored = await page.evaluate("Object.values(sessionStorage)[0]");
  await page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`);
  expect(await page.evaluate("sessionStorage.length")).toBe(0);
  expect([heard.length > 0, heard.join().includes(String(stored)), heard.join().includes("cookie")]).toEqual([
    true,
    false,
    false,
  ]);
});

it("an address that was typed or cut shows a view, and throws nothing", async () => {
  const home = aCliHome();
  seedFleet(home);
  const served = await servePage(home, { isBuilt: true });
  const { page, faults } = await openTab(served.link());
  for (const address of ["#/chat/%", "#/chat/%E0%A4", "#/task/%ff", "#/constructor", "#/none", "#/", "#%"]) {
    await page.evaluate(`location.hash = ${JSON.stringify(address)}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
  }
  await page.getByText("Payments").waitFor();
  expect(faults).toEqual([]);
});

it("markup, scripts and marks of direction in the text of a chat are shown, not run", async () => {
  const home = aCliHome();
  home.alive.add(1_001);
  const attack = `<img src=x onerror="document.title='owned'"><script>document.title="owned"</script>\u202Etxt.exe`;
  addSession(home, {
    id: fleetIds.works,
    pid: 1_001,
    title: attack,
    entries: [{ kind: "prompt", text: attack }],
  });
  const served = await servePage(home, { isBuilt: true });
  const { page, faults } = await openTab(served.link());
  const shown = page.getByRole("link", { name: "onerror" });
  expect(await shown.textContent()).toContain("<script>document.title");
  expect(await shown.textContent()).not.toContain("\u202E");
  await shown.click();
  await page.getByRole("heading", { name: "Timeline" }).waitFor();
  expect(await page.locator("main img, main script").count()).toBe(0);
  expect(await page.title()).not.toBe("owned");
  expect(faults).toEqual([]);
});

it("the browser enforces the policy: no markup from text, no code from text, no request elsewhere", async () => {
  const home = aCliHome();
  seedFleet(home);
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await page.getByText("Payments").waitFor();
  const refusalOf = (code: string): Promise<string> =>
    page.evaluate(
      `(async () => { try { await (async () => { ${code} })(); return "allowed"; } catch (error) { return error.name; } })()`,
    );
  expect(await refusalOf(`document.querySelector("main").innerHTML = "<b>x</b>"`)).toBe("TypeError");
  expect(await refusalOf(`trustedTypes.createPolicy("mine", {})`)).toBe("TypeError");
  expect(await refusalOf(`await fetch("https://example.com/")`)).toBe("TypeError");
  const inline = `const one = document.createElement("style"); one.textContent = "main { display: none }"; document.head.append(one);
    if (getComputedStyle(document.querySelector("main")).display === "none") return; throw new TypeError("refused");`;
  expect(await refusalOf(inline)).toBe("TypeError");
});

it("a page of another site, even at another port of this machine, can neither read nor act", async () => {
  const home = aCliHome();
  seedFleet(home);
  const served = await servePage(home, { isBuilt: true });
  const evil = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<!doctype html><title>evil</title>");
  });
  await new Promise<void>((done) => evil.listen(0, "127.0.0.1", done));
  onTestFinished(() => void evil.close());
  const { page } = await openTab(served.link());
  await page.getByText("Payments").waitFor();
  await page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`);
  const tried = await page.evaluate(`(async () => {
    const body = JSON.stringify({ name: "sessions.forget", input: { target: "${fleetIds.died}" } });
    const send = (type, mode) => fetch("${served.origin}/api/call", { method: "POST", body, mode, credentials: "include", headers: { "content-type": type } })
      .then((answer) => answer.type + answer.status, (error) => error.name);
    const image = await fetch("${served.origin}/", { mode: "no-cors" }).then((answer) => answer.type, (error) => error.name);
    return [await send("application/json", "cors"), await send("text/plain", "cors"), await send("text/plain", "no-cors"), image];
  })()`);
  expect(tried).toEqual(["TypeError", "TypeError", "TypeError", "TypeError"]);
  await page.goto(served.origin);
  await page.getByText("Parser: keep the last line").waitFor();
});
