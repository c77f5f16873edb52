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

/** The list as a finger throws it: frames that were drawn a second, and the longest time between two in ms. */
async function scrollThrough(page: Page): Promise<{ readonly frames: number; readonly slowest: number }> {
  await page.evaluate("scrollTo(0, 0)");
  const session = await page.context().newCDPSession(page);
  const browser = page.context().browser();
  await browser?.startTracing(page, {
    categories: ["devtools.timeline.frame", "disabled-by-default-devtools.timeline.frame", "cc", "benchmark"],
  });
  const gesture = { x: 195, y: 600, yDistance: -20_000, speed: 6_000, gestureSourceType: "mouse" } as const;
  await session.send("Input.synthesizeScrollGesture", gesture);
  const trace = JSON.parse(String(await browser?.stopTracing())) as { traceEvents: { name: string; ts: number }[] };
  const drawn = trace.traceEvents.filter(({ name }) => name === "DrawFrame").map(({ ts }) => ts / 1_000);
  const times = drawn.toSorted((one, other) => one - other);
  const gaps = times.slice(1).map((time, at) => time - (times[at] ?? time));
  const allMs = gaps.reduce((sum, gap) => sum + gap, 0);
  return { frames: (1_000 * gaps.length) / allMs, slowest: Math.max(...gaps) };
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
    // The frame after it shows it.
    chats.push(
      await page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))",
      ),
    );
    const first = `performance.getEntriesByType("paint").find(({ name }) => name === "first-contentful-paint").startTime`;
    paints.push(await page.evaluate(first));
  }
  await page.evaluate(`location.hash = "#/fleet"`);
  const more = page.getByText("Show more").first();
  for (let shown = 20; shown < 500; shown += 200) await more.click();
  await more.waitFor({ state: "hidden" });
  const rounds: { readonly frames: number; readonly slowest: number }[] = [];
  for (let round = 0; round < 3; round++) rounds.push(await scrollThrough(page));
  const frames = Math.max(...rounds.map((one) => one.frames));
  const slowest = Math.min(...rounds.map((one) => one.slowest));
  const times = { paint: Math.min(...paints), chat: Math.min(...chats), slowest };
  for (const [name, ms] of Object.entries(times)) console.log(`page ${name} ${ms.toFixed(1)} ms`);
  console.log(`page frames ${frames.toFixed(1)}`);
});
