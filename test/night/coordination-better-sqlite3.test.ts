import { describe } from "vitest";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import { Operations } from "#harness/coordinator/local-host.ts";

const open = (): Promise<Operations> => Promise.resolve(new Operations(openBetterSqlite3));

describe("@night", () => {
  for (const rules of [stateSuites, taskSuites, syncSuites]) rules(open);
});
