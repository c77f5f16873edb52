import { describe } from "vitest";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

const open = (): Promise<LocalHost> => Promise.resolve(new LocalHost(openBetterSqlite3));

describe("@night", () => {
  for (const rules of [stateSuites, taskSuites, syncSuites]) rules(open);
});
