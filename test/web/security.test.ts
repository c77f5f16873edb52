import { createServer } from "node:http";
import { afterAll, expect, it } from "vitest";
import { servedInTest } from "#harness/edge/real-server.ts";
import { aCliHome, addSession } from "#harness/machine/cli-home.ts";
import { aFleetPage, closeBrowser, openTab } from "#harness/web/browser.ts";
import { fleetIds } from "#harness/web/seeds.ts";
import { servePage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

it("the token leaves the address at once, no cookie is set, and the link does not work in another browser @night", async () => {
  const { served, link, page } = await aFleetPage();
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

it("markup, scripts and marks of direction in the text of a chat are shown, not run @night", async () => {
  const home = aCliHome();
  home.alive.add(1_001);
  const attack = `<img src=x onerror="document.title='owned'"><script>document.title="owned"</script>\u202Etxt.exe`;
  addSession(home, { id: fleetIds.works, pid: 1_001, title: attack, entries: [{ kind: "prompt", text: attack }] });
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

it("the browser enforces the policy: no markup from text, no code from text, no request elsewhere @night", async () => {
  const { page } = await aFleetPage();
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

it("a page of another site, even at another port of this machine, gets no secret, and can neither read nor act @night", async () => {
  const { served, page } = await aFleetPage();
  const stored = await page.evaluate("Object.values(sessionStorage)[0]");
  const heard: string[] = [];
  const evil = createServer((request, response) => {
    heard.push(JSON.stringify(request.headers));
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>evil</title>");
  });
  await page.goto(await servedInTest(evil));
  expect(await page.evaluate("sessionStorage.length")).toBe(0);
  expect([heard.length > 0, heard.join().includes(String(stored)), heard.join().includes("cookie")]).toEqual([
    true,
    false,
    false,
  ]);
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
