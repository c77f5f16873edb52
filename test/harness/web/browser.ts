import { existsSync } from "node:fs";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { chromiumPath } from "./chromium.ts";

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
  const { host } = new URL(link);
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).host !== host) faults.push(`a request to ${request.url()}`);
  });
  await page.goto(link);
  return { page, faults };
}

const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What axe finds wrong, one line each. */
export async function axeFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).withTags(rules).analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`),
  );
}
