import { describe } from "vitest";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { messageHintRules } from "../rules/message-rows.ts";
import { taskHintRules } from "../rules/task-rows.ts";
import { chatSuites, rowSuites, stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

const open = (): Promise<LocalHost> => Promise.resolve(new LocalHost(openNodeSqlite));

describe("@night", () => {
  for (const rules of [chatSuites, stateSuites, rowSuites, messageHintRules, taskHintRules, taskSuites, syncSuites])
    rules(open);
});
