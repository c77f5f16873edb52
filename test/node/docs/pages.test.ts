import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { apiDocs } from "../../../scripts/api-docs.ts";
import { clientsDocs } from "../../../scripts/clients-docs.ts";
import { configDocs } from "../../../scripts/config-docs.ts";
import { metricsDocs } from "../../../scripts/metrics-docs.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const pages = ["README.md", "AGENTS.md", "CHANGELOG.md", "SECURITY.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join("docs", file)),
);

function read(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

/** The anchors of a page's headings, made the way GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function brokenLinks(page: string): string[] {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
    ([, link, image]) => link ?? image ?? "",
  );
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    })
    .map((link) => `${page}: ${link}`);
}

it("every link between the documents names a file and a heading that exist", () => {
  expect(pages.length).toBeGreaterThan(50);
  expect(pages.flatMap(brokenLinks)).toEqual([]);
});

it("the guide to the costs has the measured rows and dollars of tasks", () => {
  const range = (measured: RegExp): [number, number] => {
    const figures = [...read("docs/benchmarks.md").matchAll(measured)].map(([, figure]) => Number(figure));
    expect(figures.length).toBeGreaterThan(1);
    return [Math.min(...figures), Math.max(...figures)];
  };
  const costs = read("docs/guide/costs.md");
  const [fewest, most] = range(/\| rows written for a task, [^|]*\| ([\d.]+) +\|/g);
  expect(costs).toMatch(
    new RegExp(`\\| a task from submit to pruned +\\| ${Math.round(fewest)} to ${Math.round(most)} `),
  );
  const [cheapest, dearest] = range(/\| a million tasks, [^|]*\| \$([\d.]+) +\|/g);
  expect(costs).toContain(`A million tasks cost ${cheapest} to ${dearest} dollars`);
  expect(read("docs/guide/tasks.md")).not.toMatch(/million tasks/);
});

it("every page of docs that a text of the source names exists", () => {
  const named = ["src", "bin", "demo", "scripts", "bench", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.(?:ts|mjs)$/.test(file))
      .flatMap((file) =>
        [...read(join(folder, file)).matchAll(/docs\/(?:guide|reference|internals|decisions)\/[\w-]+\.md/g)].map(
          ([page]) => ({ file: join(folder, file), page }),
        ),
      ),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter(({ page }) => !existsSync(join(root, page)))).toEqual([]);
});

/** The formatter widens tables and breaks no words. */
function bare(text: string): string {
  return text.replaceAll(/[\s-]+/g, "");
}

it("docs/reference/api.md is what the table of operations says; else run: node scripts/api-docs.ts && npx oxfmt docs/reference/api.md", () => {
  expect(read("docs/reference/api.md").split("### ").map(bare)).toEqual(apiDocs().split("### ").map(bare));
});

it("docs/reference/configuration.md is what the schemas say; else run: node scripts/config-docs.ts && npx oxfmt docs/reference/configuration.md", () => {
  expect(read("docs/reference/configuration.md").split("\n## ").map(bare)).toEqual(
    configDocs().split("\n## ").map(bare),
  );
});

it("docs/reference/clients.md is what the adapters say; else run: node scripts/clients-docs.ts && npx oxfmt docs/reference/clients.md", () => {
  expect(read("docs/reference/clients.md").split("\n## ").map(bare)).toEqual(clientsDocs().split("\n## ").map(bare));
});

it("docs/reference/metrics.md is what the table of metrics says; else run: node scripts/metrics-docs.ts && npx oxfmt docs/reference/metrics.md", () => {
  expect(read("docs/reference/metrics.md").split("\n### ").map(bare)).toEqual(metricsDocs().split("\n### ").map(bare));
});
