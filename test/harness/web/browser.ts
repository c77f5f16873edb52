import { existsSync } from "node:fs";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { chromiumPath } from "./chromium.ts";
import { servePage } from "./live-page.ts";
import { fleetIds, seedFleet, seedTeam } from "./seeds.ts";

const patienceMs = 120_000;

let running: Promise<Browser> | null = null;

/** One browser for all tests of a file; {@link closeBrowser} ends it. */
function theBrowser(): Promise<Browser> {
  if (!existsSync(chromiumPath))
    throw new Error(`${chromiumPath} is not there: install chromium, or name one in SHIM_CHROMIUM`);
  // Containers give no user namespaces, and /dev/shm has 64 MB there. A sandboxed frame in a process of
  // its own gets clicks by what was painted last: one right after a change may be lost.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-site-isolation-trials"];
  running ??= chromium.launch({ executablePath: chromiumPath, args, timeout: patienceMs });
  return running;
}

export async function closeBrowser(): Promise<void> {
  await (await running)?.close();
  running = null;
}

export interface Tab {
  readonly page: Page;
  /** Errors, refused by the policy or thrown by the page, and requests to other hosts. */
  readonly faults: string[];
}

export async function openTab(link: string, options: BrowserContextOptions = {}): Promise<Tab> {
  const browser = await theBrowser();
  const context = await browser.newContext({ viewport: { width: 1_200, height: 800 }, ...options });
  onTestFinished(() => context.close());
  context.setDefaultTimeout(patienceMs);
  const page = await context.newPage();
  const faults: string[] = [];
  const { origin } = new URL(link);
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`a request to ${request.url()}`);
  });
  await page.goto(link);
  return { page, faults };
}

/** The page of a machine, signed in. */
export async function openHome(home: CliHome, options: BrowserContextOptions = {}) {
  const served = await servePage(home, { isBuilt: true });
  const link = served.link();
  return { served, link, ...(await openTab(link, options)) };
}

/** The page of a machine that has a fleet and a team. */
export async function aFleetPage(options: BrowserContextOptions = {}) {
  const home = aCliHome();
  seedFleet(home);
  const team = seedTeam(home, fleetIds.works, 1_002);
  const opened = await openHome(home, options);
  await opened.page.getByText("Payments").first().waitFor();
  return { home, team, ...opened };
}

/** Opens a view, and waits until it shows the text. */
export async function go(page: Page, path: string, text?: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
  if (text !== undefined) await page.getByText(text).first().waitFor();
}

const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What axe finds wrong, one line each. */
export async function axeFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).withTags(rules).analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`),
  );
}
