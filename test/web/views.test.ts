import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { aCliHome, addSession } from "#harness/machine/cli-home.ts";
import { aFleetPage, axeFaults, closeBrowser, go, openHome } from "#harness/web/browser.ts";
import { seedExperiments } from "#harness/experiments/histories.ts";
import { fleetIds, joinTeam, seedFleet, views } from "#harness/web/seeds.ts";
import { given } from "#harness/coordinator/peers.ts";

afterAll(closeBrowser);

it.each([
  ["light", 1_000],
  ["dark", 1_000],
  ["light", 320],
] as const)(
  "every view passes axe in the %s theme at %i px, scrolls in no way sideways, and has no error, request to another host or refusal by the policy @night",
  async (colorScheme, width) => {
    const { home, team, page, faults } = await aFleetPage({ colorScheme, viewport: { width, height: 640 } });
    seedExperiments(home.runtime);
    for (const [path, text] of views(team)) {
      await go(page, path, text);
      const shownWidth = await page.evaluate("document.documentElement.scrollWidth");
      expect([path, shownWidth, await axeFaults(page)]).toEqual([path, width, []]);
    }
    await go(page, `chat/${fleetIds.died}`, "The tokenizer drops");
    await page.getByRole("button", { name: "About" }).click();
    await page.getByRole("button", { name: "Forget" }).click();
    expect(await axeFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  },
);

it("chats whose ids begin alike are told apart by what is shown of them", async () => {
  const { home, page, team } = await aFleetPage();
  for (const [at, chat] of ["ses_01a223bd-461c-7f72", "ses_01a223bd-4625-76d0"].entries()) {
    const self = joinTeam(home, team.coordinator, chat, 4_000 + at);
    given(team.coordinator.call("leases.acquire", { self, resource: `file:p1/${at}.ts`, requestId: `r${at}` }));
  }
  await go(page, "files", "ses_01a223bd-461");
  await page.getByText("ses_01a223bd-462", { exact: true }).waitFor();
});

it("at 1440 x 900 twelve chats of three projects are above the fold, what needs the user first, each once", async () => {
  const home = aCliHome();
  seedFleet(home);
  for (let at = 0; at < 9; at++) {
    home.alive.add(3_000 + at);
    const project = join(home.folder, `project-${at % 3}`);
    addSession(home, { id: `bbbb000${at}-0000-4000-8000-000000000009`, pid: 3_000 + at, title: `Chat ${at}`, project });
  }
  const { page } = await openHome(home, { viewport: { width: 1_440, height: 900 } });
  await page.getByRole("link", { name: "Chat 8" }).waitFor();
  const headings = await page.getByRole("heading", { level: 2 }).allTextContents();
  expect(headings.toSorted()).toEqual(["Needs you", "project", "project-0", "project-1", "project-2"]);
  expect(headings[0]).toBe("Needs you");
  const bottoms = '[...document.querySelectorAll("main li")].map((one) => one.getBoundingClientRect().bottom)';
  const ends: number[] = await page.evaluate(bottoms);
  expect(ends.filter((end) => end <= 900)).toHaveLength(12);
  expect(await page.getByText("Docs: the upgrade guide").count()).toBe(0);
  await page.getByText("1 ended in the last day").click();
  await page.getByText("Docs: the upgrade guide").waitFor();
});

it("each chat that needs the user has one thing to do: open it, or copy the command that continues it", async () => {
  const { page } = await aFleetPage();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const needs = page.getByRole("region", { name: "Needs you" }).getByRole("listitem");
  await needs.first().waitFor();
  expect(await needs.locator(".action > *").allTextContents()).toEqual(["Open", "Copy resume command"]);
  await page.getByRole("button", { name: "Copy resume command" }).click();
  await page.getByText(/^Copied: shim resume /).waitFor();
  expect(await page.evaluate("navigator.clipboard.readText()")).toMatch(/^shim resume 3333/);
  await page.getByRole("link", { name: "Open Payments" }).click();
  await page.getByRole("heading", { level: 1, name: "Payments" }).waitFor();
});

/** Buttons and links that are filled as the main one of a view is. */
const filled = `(() => {
  const main = document.createElement("button");
  main.className = "main";
  document.body.append(main);
  const { backgroundColor } = getComputedStyle(main);
  main.remove();
  return [...document.querySelectorAll("button, a")]
    .filter((one) => one.offsetParent && getComputedStyle(one).backgroundColor === backgroundColor)
    .map((one) => one.textContent);
})()`;

/** Times and buttons whose text is cut off. */
const cut = `[...document.querySelectorAll(".age, button, .button, th")]
  .filter((one) => one.offsetParent && (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "visible"))
  .map((one) => one.textContent)`;

it.each([1_000, 375])(
  "at %i px each view has one filled button at most, and cuts no time and no button",
  async (width) => {
    const { page, home, team } = await aFleetPage({ viewport: { width, height: 800 } });
    seedExperiments(home.runtime);
    for (const [path, text] of views(team)) {
      await go(page, path, text);
      const main = await page.evaluate<string[]>(filled);
      expect([path, main.length <= 1, await page.evaluate(cut)]).toEqual([path, true, []]);
    }
    await go(page, "fleet", "Needs you");
    expect(await page.evaluate(filled)).toEqual(["Open"]);
  },
);

it("a person has two views in the bar, the others are behind More, and its button names the one that is open", async () => {
  const { page } = await aFleetPage({ viewport: { width: 375, height: 800 } });
  const bar = page.getByRole("navigation").getByRole("link");
  expect(await bar.allTextContents()).toEqual(["Chats", "Day"]);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("link", { name: "Tasks", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  expect(await bar.allTextContents()).toEqual(["Chats", "Day"]);
  await page.getByRole("button", { name: "Tasks" }).click();
  await page.keyboard.press("Escape");
  expect(await bar.allTextContents()).toEqual(["Chats", "Day"]);
});

it("Ctrl+K goes to any chat and any view by some of its letters, with the keyboard alone", async () => {
  const { page, faults } = await aFleetPage();
  await go(page, "files", "parser.ts");
  await page.keyboard.press("Control+k");
  const option = page.getByRole("option");
  await option.first().waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.keyboard.type("keep the");
  await page.getByRole("option", { selected: true, name: "Parser: keep the last line" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("The tokenizer drops").waitFor();
  await page.keyboard.press("Control+k");
  await option.first().waitFor();
  await page.keyboard.type("view");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Day" }).waitFor();
  await page.getByRole("button", { name: "Go to …" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(faults).toEqual([]);
});

/** A page has fewer stops; without the bound a lost focus would never end. */
const maxStops = 100;

async function tabUntil(page: Page, isThere: () => Promise<boolean>): Promise<void> {
  for (let stop = 0; stop < maxStops; stop++) {
    if (await isThere()) return;
    await page.keyboard.press("Tab");
  }
  const at: unknown = await page.evaluate("document.activeElement.outerHTML.slice(0, 300)");
  throw new Error(`not reached by Tab; the focus is at ${String(at)}`);
}

it("with the keyboard alone: skip to the view, find a chat, ask to dismiss it, and be back where the focus was @night", async () => {
  const { page } = await aFleetPage();
  const focused = (): Promise<string> => page.evaluate("document.activeElement.textContent");
  const move = async (...steps: readonly (readonly [key: string, focus: string])[]): Promise<void> => {
    for (const [key, focus] of steps) {
      await page.keyboard.press(key);
      expect(await focused()).toContain(focus);
    }
  };
  await move(["Tab", "Skip"], ["Enter", "Chats"]);
  await page.keyboard.press("/");
  await page.keyboard.type("parser");
  await page.getByText("Payments").waitFor({ state: "detached" });
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.getByText("Payments").waitFor();
  await move(["Tab", "Payments: retry on timeout"], ["Tab", "Open"], ["Tab", "Parser"], ["Tab", "Copy resume command"]);
  await page.keyboard.press("Shift+Tab");
  await move(["ArrowUp", "Payments: retry on timeout"], ["ArrowDown", "Parser"]);
  await page.keyboard.press("Enter");
  await page.getByText("The tokenizer drops").waitFor();
  expect(await focused()).toBe("Parser: keep the last line");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Dismiss" }).waitFor();
  await tabUntil(page, async () => (await focused()) === "Dismiss");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await focused()).toBe("Dismiss");
});

it("an empty machine says in each view what to do first @night", async () => {
  const { page, faults } = await openHome(aCliHome());
  const empty = [
    ["fleet", "Start Claude Code in a project"],
    ["day", "Choose a longer time"],
    ["tasks", "shim task submit"],
    ["dead", "No dead task matches"],
    ["files", "No chat has reserved a file"],
    ["messages", "shim team send"],
    ["plan", "No job is open"],
    ["experiments", "shim report"],
    ["health", "No entry"],
  ] as const;
  for (const [path, text] of empty) await go(page, path, text);
  expect(await axeFaults(page)).toEqual([]);
  await go(page, "chat/none");
  await page.getByRole("alert").waitFor();
  expect(faults).toEqual([]);
});
