import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { patience } from "#harness/machine/programs.ts";
import { axeFaults, closeBrowser, go, openHome } from "#harness/web/browser.ts";
import { addChat, chatId, markdownAnswer } from "#harness/web/chats.ts";
import type { ClaudeTranscript } from "#harness/machine/claude-transcript.ts";

afterAll(closeBrowser);

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const;

/** The page of a chat that was written so far. */
async function aChatPage(write: (chat: ClaudeTranscript) => void, options: BrowserContextOptions = {}) {
  const home = aCliHome();
  const chat = addChat(home);
  write(chat);
  home.now = chat.at;
  const opened = await openHome(home, options);
  await go(opened.page, `chat/${chatId}`);
  await opened.page.locator(".talk > li").first().waitFor();
  return { home, chat, ...opened };
}

/** The store changes, as it does when a chat goes on, so that pages read again. */
function touch(home: CliHome): void {
  home.runtime.store.write((sql) => journal.append(sql, chatId, home.now, `t${home.now}`, { kind: "turn_end" }));
}

const shown = (page: Page) => page.locator(".talk > li");
/** Distance of the end of the conversation from the end of what is in sight, in px. */
const fromEnd = (page: Page): Promise<number> =>
  page.evaluate(`(() => {
    const frame = document.querySelector(".frame");
    return frame.scrollHeight - frame.scrollTop - frame.clientHeight;
  })()`);

it.each([
  ["light", { colorScheme: "light", viewport: { width: 1_200, height: 800 } }],
  ["dark, on a phone", { ...phone, colorScheme: "dark" }],
] as const satisfies readonly (readonly [string, BrowserContextOptions])[])(
  "a chat reads like the chat: oldest above, whole answers with tables, lists and coloured code, calls of one line each; axe finds nothing (%s)",
  async (_name, options) => {
    const { page, faults } = await aChatPage((chat) => {
      chat.asks("fix the parser");
      chat.calls("Edit", { file_path: "/p/parser.ts", old_string: "a\nblue\nb", new_string: "a\nred\nb\nc" });
      chat.calls("Bash", { command: "npm test" }, "1 failed\nExit code 1", true);
      chat.says(markdownAnswer);
    }, options);
    await expect.poll(() => shown(page).count(), patience).toBe(4);
    const rows = await shown(page).evaluateAll((all) => all.map((one) => one.className.trim()));
    expect(rows).toEqual(["prompt", "call", "call", "answer"]);
    const answer = shown(page).nth(3);
    await answer.getByText("Which of the two do you want me to do first").waitFor();
    expect(await answer.locator("th").allTextContents()).toEqual(["file", "lines", "state"]);
    expect(await answer.getByRole("listitem").allInnerTexts()).toContain(
      "2. Then fix the second, which is longer".slice(3),
    );
    await answer.locator(".hljs-keyword", { hasText: "export" }).waitFor();
    const link = answer.getByRole("link", { name: "the guide" });
    expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
    expect(await shown(page).nth(2).innerText()).toMatch(/^Bash\s+npm test\s+failed: 1 failed$/);
    await expect.poll(() => fromEnd(page), patience).toBeLessThan(2);
    await shown(page).nth(1).locator("summary").click();
    const changed = page.locator(".diff tr:is(.added, .removed)");
    await changed.first().waitFor();
    const lines = await changed.evaluateAll((all) =>
      all.map((one) => [...one.querySelectorAll("td")].map((cell) => cell.textContent)),
    );
    expect(lines).toEqual([
      ["2", "", "-", "blue"],
      ["", "2", "+", "red"],
      ["", "4", "+", "c"],
    ]);
    const width: number = await page.evaluate("document.documentElement.scrollWidth");
    expect([width, await axeFaults(page), faults]).toEqual([options.viewport?.width, [], []]);
  },
);

const hostile = `<img src=x onerror="alert(1)"> <script>alert(2)</script>

<iframe src="https://evil.example"></iframe>

<svg onload=alert(3)><a href="javascript:alert(4)">x</a></svg>

[one](javascript:alert(5)) [two](JaVaScRiPt:alert(6)) [three](data:text/html;base64,PHNjcmlwdD4=) [four](vbscript:x)
[five](java&#115;cript:alert(7)) [six](file:///etc/passwd) [seven](//evil.example/x) <javascript:alert(8)>

![remote](https://evil.example/p.png) ![data](data:image/svg+xml,<svg>)

| <b>a</b> | [b](javascript:alert(9)) |
| - | - |
| <style>*{display:none}</style> | x |

\`\`\`html"><img src=x onerror=alert(10)>
<script>alert(11)</script>
\`\`\`

the end &lt;b&gt; &#x202E; &amp;`;

it("a link to a chat asks once for the chat and its newest rows, while the script of the page is still on its way", async () => {
  const { page, served } = await aChatPage((chat) => chat.asks("fix the parser").says("done"));
  // Without hints each call is one of the view.
  await page.route("**/api/live", (route) => route.abort());
  // The page that is left asks nothing any more.
  await page.goto("about:blank");
  const asked: string[] = [];
  const { promise: bothAsked, resolve } = Promise.withResolvers<void>();
  page.on("request", (request) => {
    if (!request.url().endsWith("/api/call")) return;
    asked.push((request.postDataJSON() as { name: string }).name);
    if (asked.length === 2) resolve();
  });
  await page.route("**/app-page-*", (route) => bothAsked.then(() => route.continue()));
  await page.goto(`${served.origin}/#/chat/${chatId}`);
  await page.getByText("done", { exact: true }).waitFor();
  await page.locator(".chat > .summary").waitFor();
  expect(asked.slice(0, 2).toSorted()).toEqual(["conversation.read", "page.session"]);
  expect(asked.slice(2).filter((name) => name === "conversation.read" || name === "page.session")).toEqual([]);
});

it("nothing that a chat says becomes HTML, runs, is loaded, or leads to another address than of the web and of mail", async () => {
  const { page, faults } = await aChatPage((chat) => {
    chat.asks(hostile).calls("Bash", { command: hostile }, hostile);
    chat
      .says(`${"> ".repeat(20_000)}deep`)
      .says(`${"  ".repeat(200)}- a\n`.repeat(50))
      .says(hostile);
  });
  await page.getByText("the end <b>").last().waitFor();
  const scrolledUp = async (): Promise<number> => {
    await page.locator(".frame").evaluate((frame) => frame.scrollTo({ top: 0 }));
    return shown(page).count();
  };
  await expect.poll(scrolledUp, patience).toBe(5);
  await shown(page).nth(1).locator("summary").click();
  await page.locator(".opened pre").last().waitFor();
  const made = "img, iframe, svg:not(nav svg), script:not([src]), style, .frame b, .frame [onerror], .frame [onload]";
  expect(await page.locator(made).count()).toBe(0);
  const links = await page.locator(".frame a").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  expect(links.filter((address) => !/^(?:https?|mailto):/.test(address ?? ""))).toEqual([]);
  expect(links.length).toBeGreaterThan(0);
  expect(faults).toEqual([]);
});

it("of 5,000 rows the page has at most 400 at a time, reaches the first and the last one, and a search finds any", async () => {
  const { page } = await aChatPage((chat) => {
    for (let n = 1; n <= 2_500; n++) chat.asks(`question ${n}`).says(`answer ${n}: **${n % 7}**`);
  });
  await page.getByText("answer 2500:").waitFor();
  await expect.poll(() => fromEnd(page), patience).toBeLessThan(2);
  const seen = new Set<number>();
  const frame = page.locator(".frame");
  for (;;) {
    // Before the first row is looked for: it may come in between.
    const first = await shown(page).first().getAttribute("id");
    seen.add(await shown(page).count());
    if ((await page.getByText("question 1", { exact: true }).count()) > 0) break;
    await frame.evaluate((one) => (one.scrollTop = 0));
    await expect.poll(() => shown(page).first().getAttribute("id"), patience).not.toBe(first);
  }
  expect(Math.max(...seen)).toBeLessThanOrEqual(400);
  await page.getByRole("button", { name: "To the end" }).click();
  await page.getByText("answer 2500:").waitFor();
  await expect.poll(() => fromEnd(page), patience).toBeLessThan(2);
  await page.getByLabel("Search this chat").fill("answer 1234");
  await page.getByText("1 place", { exact: true }).waitFor();
  await page.getByRole("region", { name: "Found in this chat" }).getByRole("button").click();
  await page.locator(".found", { hasText: "answer 1234: 2" }).waitFor();
  await page.getByText("question 1236", { exact: true }).waitFor();
  await page.getByText("question 1233", { exact: true }).waitFor();
  expect(await page.getByText("answer 2500:").count()).toBe(0);
});

it("what a chat says comes by itself: at the end it is followed, and a reader who has scrolled up stays where he is", async () => {
  const { home, chat, page } = await aChatPage((one) => {
    for (let n = 1; n <= 60; n++) one.asks(`question ${n}`).says(`answer ${n}`);
    one.calls("Bash", { command: "npm run build" }, null);
  });
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByText("npm run build").waitFor();
  chat.says("A new answer.");
  touch(home);
  await page.getByText("A new answer.").waitFor();
  await expect.poll(() => fromEnd(page), patience).toBeLessThan(2);
  await page.locator(".frame").evaluate((one) => (one.scrollTop -= 600));
  const button = page.getByRole("button", { name: "To the end" });
  await button.waitFor();
  const top = (): Promise<number> => page.locator(".frame").evaluate((one) => one.scrollTop);
  const before = await top();
  home.now += 60_000;
  chat.says("Another one.");
  touch(home);
  await page.getByText("Another one.").waitFor();
  expect(await top()).toBe(before);
  await button.click();
  await expect.poll(() => fromEnd(page), patience).toBeLessThan(2);
});

it("a conversation whose first read has failed is read again with the next change", async () => {
  const { page, home, served } = await aChatPage((chat) => chat.asks("fix the parser").says("done"));
  await page.goto("about:blank");
  let hasFailed = false;
  await page.route("**/api/call", async (route) => {
    const { name } = route.request().postDataJSON() as { name: string };
    if (name !== "conversation.read" || hasFailed) return route.continue();
    hasFailed = true;
    await route.fulfill({ status: 500, json: { error: { code: "internal", message: "SHIM failed" } } });
  });
  await page.goto(`${served.origin}/#/chat/${chatId}`);
  await page.getByText("SHIM failed").waitFor();
  touch(home);
  await page.getByText("done", { exact: true }).waitFor();
  expect(await page.getByText("SHIM failed").count()).toBe(0);
});

const code = (word: string): string => `\`\`\`ts\nconst ${word} = 1;\n\`\`\``;

it("an edit from a machine of another version, without its lines, is shown by its path, and the rest of its call with it", async () => {
  const { page, faults } = await aChatPage((chat) => {
    chat.asks("fix it").calls("Edit", { file_path: "/p/a.ts", old_string: "one", new_string: "two" });
  });
  const opened = { input: "", edits: [{ path: "/p/a.ts" }], moreEdits: 0, output: "it is updated" };
  await page.route("**/api/call", (route) =>
    (route.request().postDataJSON() as { name: string }).name === "conversation.call"
      ? route.fulfill({ json: opened })
      : route.continue(),
  );
  await shown(page).nth(1).locator("summary").click();
  await page.getByText("it is updated").waitFor();
  expect([await page.locator(".diff").innerText(), faults]).toEqual(["/p/a.ts", []]);
});

it("a part of a view that cannot be shown leaves the rest of the page, and comes back with the next value", async () => {
  const { page, home, faults } = await aChatPage((chat) => chat.asks("fix the parser").says("done"));
  let isBroken = true;
  await page.route("**/api/call", (route) => {
    const { name } = route.request().postDataJSON() as { name: string };
    return name === "page.messages" && isBroken ? route.fulfill({ json: { messages: [null] } }) : route.continue();
  });
  await page.evaluate("location.hash = '#/messages'");
  await page.getByText("This cannot be shown").waitFor();
  await page.getByRole("navigation").first().waitFor();
  expect(faults[0]).toContain("null");
  isBroken = false;
  touch(home);
  await page.getByText("No chat has received a message yet.").waitFor();
  expect(await page.getByText("This cannot be shown").count()).toBe(0);
});

it("words of thousands of characters are shown as they were written, and code with one without colours", async () => {
  const { page } = await aChatPage((chat) => {
    chat
      .asks("go")
      .says(code("short"))
      .says(code("l".repeat(1_500)))
      .says(`*not* ${"_a*".repeat(1_000)}`);
  });
  const answers = page.locator(".talk > .answer");
  await expect.poll(() => answers.count(), patience).toBe(3);
  await answers.nth(0).locator(".hljs-keyword").waitFor();
  expect(await answers.nth(1).locator("pre span").count()).toBe(0);
  expect(await answers.nth(1).innerText()).toContain("l".repeat(1_500));
  expect(await answers.nth(2).locator("p.raw").innerText()).toContain(`*not* ${"_a*".repeat(1_000)}`);
});

it("a picture of a chat is read when it comes into sight, and shown without another host", async () => {
  const data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const { page, faults } = await aChatPage((chat) => {
    chat.asks("What is this?", [{ type: "image", source: { type: "base64", media_type: "image/png", data } }]);
    chat.says("A red point.");
  });
  const picture = page.getByRole("img", { name: "Picture 1 of this message" });
  await picture.waitFor();
  expect(await picture.evaluate((one) => "naturalWidth" in one && one.naturalWidth)).toBe(1);
  expect(faults).toEqual([]);
});
