import type { Page } from "playwright-core";
import { afterAll, it } from "vitest";
import { aCliHome, addSession } from "#harness/machine/cli-home.ts";
import { closeBrowser, openHome } from "#harness/web/browser.ts";
import { addChat, chatId, markdownAnswer } from "#harness/web/chats.ts";

afterAll(closeBrowser);

/** Slow 3G, and a processor of a cheap phone. */
async function slowDown(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const rate = (400 * 1_024) / 8;
  const conditions = { offline: false, latency: 400, downloadThroughput: rate, uploadThroughput: rate };
  await session.send("Network.emulateNetworkConditions", conditions);
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
}

/** For `npm run bench -- chat`: figures of this machine, which no test holds to a bound. */
it.runIf(process.env["SHIM_PAGE_TIMES"] === "1")("times of a slow phone @night", async () => {
  const home = aCliHome();
  const chat = addChat(home);
  for (let n = 1; n <= 500; n++) {
    chat.asks(`question ${n}`).calls("Bash", { command: `npm test -- ${n}` }, "passed\n".repeat(20));
    chat.calls("Edit", { file_path: `/p/${n}.ts`, old_string: "a", new_string: "b\nc" });
    chat.says(n % 10 === 0 ? markdownAnswer : `answer ${n}`);
  }
  for (let at = 0; at < 499; at++) {
    home.now += 1;
    home.alive.add(5_000 + at);
    addSession(home, { id: `aaaa${String(at).padStart(4, "0")}-0000-4000-8000-000000000009`, pid: 5_000 + at });
  }
  home.now = chat.at;
  const { page, served } = await openHome(home, { viewport: { width: 390, height: 844 } });
  await page.getByText("Harbour").first().waitFor();
  await slowDown(page);
  const [paints, chats]: [number[], number[]] = [[], []];
  for (let round = 0; round < 3; round++) {
    await page.goto("about:blank");
    await (await page.context().newCDPSession(page)).send("Network.clearBrowserCache");
    await page.goto(`${served.origin}/#/chat/${chatId}`);
    await page.getByText("question 500").waitFor();
    chats.push(await page.evaluate("performance.now()"));
    const first = `performance.getEntriesByType("paint").find(({ name }) => name === "first-contentful-paint").startTime`;
    paints.push(await page.evaluate(first));
  }
  await page.evaluate(`location.hash = "#/fleet"`);
  await page.getByText("Show more").first().click();
  await page.evaluate(`
    globalThis.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    }).observe({ type: "longtask" });`);
  for (let step = 0; step < 40; step++) await page.mouse.wheel(0, 400);
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))");
  const times = { paint: Math.min(...paints), chat: Math.min(...chats), longest: await page.evaluate("longest") };
  for (const [name, ms] of Object.entries(times)) console.log(`page ${name} ${Number(ms).toFixed(1)} ms`);
});
