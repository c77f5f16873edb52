import { isAbsolute, posix, relative, resolve, sep } from "node:path";
import { err, ok, type Result } from "../../shared/result.ts";
import { realPath } from "../../platform/real-path.ts";

const maxChars = 400;

/** [TE11] `dir/*` is all files of a folder, `dir/**` all below it. Pure. */
export function toLeasePath(root: string, input: string): Result<string, string> {
  const relativePath = isAbsolute(input) ? relative(root, input) : input;
  const path = posix.normalize(relativePath.split(sep).join("/")).replace(/\/$/, "");
  const violation = pathRules.find(({ isViolated }) => isViolated(path));
  return violation ? err(`"${input}" ${violation.message(root)}`) : ok(path);
}

const pathRules: readonly {
  readonly isViolated: (path: string) => boolean;
  readonly message: (root: string) => string;
}[] = [
  { isViolated: (path) => /^\.\.(\/|$)/.test(path) || isAbsolute(path), message: (root) => `is not below ${root}` },
  { isViolated: (path) => path === "." || path === "", message: () => 'is the whole project; "**" reserves that' },
  {
    isViolated: (path) => path.replace(/(^|\/)\*\*?$/, "").includes("*"),
    message: () => "has * somewhere other than in its last part",
  },
  { isViolated: (path) => /\p{Cc}/u.test(path) || path.length > maxChars, message: () => "cannot be reserved" },
];

/** [TE11] Follows links unless they lead out of the project. */
export function resolveLinks(root: string, path: string): string {
  const [range = ""] = /(^|\/)\*\*?$/.exec(path) ?? [];
  const real = relative(realPath(root), realPath(resolve(root, path.slice(0, path.length - range.length))));
  const leasePath = toLeasePath(root, real.split(sep).join("/") + (real === "" ? range.replace("/", "") : range));
  return leasePath.ok ? leasePath.value : path;
}

/** Resources of leases on files: "file:<project>/<path>". */
export const resourcePrefix = "file:";

export function toResource(project: string, path: string): string {
  return `${resourcePrefix}${project}/${path}`;
}

/** Omits the project's name, which means nothing to people. */
export function formatResource(resource: string): string {
  return resource.slice(resource.indexOf("/") + 1);
}
