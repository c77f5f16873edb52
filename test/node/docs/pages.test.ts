import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { referencePages } from "../../../scripts/reference/pages.ts";

const root = join(import.meta.dirname, "..", "..", "..");
/** Pages that `npm run docs` writes. */
const made = new Map(
  Object.entries(await referencePages()).map(([file, text]) => [join("docs/reference", file), text]),
);

const pages = ["README.md", "AGENTS.md", "CHANGELOG.md", "SECURITY.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .map((file) => join("docs", file))
    .filter((page) => page.endsWith(".md") && !made.has(page)),
);

function read(page: string): string {
  return made.get(page) ?? readFileSync(join(root, page), "utf8");
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
      // What is made is there for other made pages only.
      if (made.has(target) ? !made.has(page) : !existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    })
    .map((link) => `${page}: ${link}`);
}

it("every link between the documents names a file and a heading that exist", () => {
  expect(pages.length).toBeGreaterThan(50);
  expect([...pages, ...made.keys()].flatMap(brokenLinks)).toEqual([]);
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
