import { version } from "../contract/version.ts";

/** Written by the build. */
declare const shimBuiltAt: number | undefined;

/** Builds of one version differ by the time of their newest source. */
export interface ProgramVersion {
  readonly version: string;
  /** Epoch ms; 0 where the sources run. */
  readonly builtAt: number;
}

export const ownProgram: ProgramVersion = { version, builtAt: typeof shimBuiltAt === "number" ? shimBuiltAt : 0 };

/**
 * By version (Semantic Versioning 2.0.0, section 11), then by build. Of two programs at most
 * one is newer, so two that meet never end each other's host in turn.
 */
export function isNewer(one: ProgramVersion, other: ProgramVersion): boolean {
  const order = compareVersions(one.version, other.version);
  return order === 0 ? one.builtAt > other.builtAt : order > 0;
}

/** By Semantic Versioning. */
export function isVersionBefore(one: string, other: string): boolean {
  return compareVersions(one, other) < 0;
}

function compareVersions(one: string, other: string): number {
  const [ones, others] = [precedenceOf(one), precedenceOf(other)];
  const isReleased = Number(ones.prerelease === undefined) - Number(others.prerelease === undefined);
  return (
    compareIdentifiers(ones.release, others.release) ||
    isReleased ||
    compareIdentifiers(ones.prerelease ?? "", others.prerelease ?? "")
  );
}

function precedenceOf(text: string): { readonly release: string; readonly prerelease: string | undefined } {
  const { release = "", prerelease } = /^(?<release>[^+-]*)(?:-(?<prerelease>[^+]*))?/.exec(text)?.groups ?? {};
  return { release, prerelease };
}

function compareIdentifiers(one: string, other: string): number {
  const [ones, others] = [one.split("."), other.split(".")];
  for (const [index, left] of ones.entries()) {
    const right = others[index];
    if (right === undefined) break;
    const order = compareIdentifier(left, right);
    if (order !== 0) return order;
  }
  return ones.length - others.length;
}

/** A number comes before a word. */
function compareIdentifier(one: string, other: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
  if (isNumber && isOtherNumber) return Math.sign(Number(one) - Number(other)) || 0;
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return one === other ? 0 : one < other ? -1 : 1;
}
