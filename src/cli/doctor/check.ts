/** One line of the doctor. Printed as JSON: names are stable. */
export interface Check {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly text: string;
  /** What to do; null where nothing is to be done. */
  readonly fix: string | null;
}

export function fine(name: string, text: string): Check {
  return { name, state: "ok", text, fix: null };
}

export function warn(name: string, text: string, fix: string): Check {
  return { name, state: "warn", text, fix };
}

export function fail(name: string, text: string, fix: string): Check {
  return { name, state: "fail", text, fix };
}
