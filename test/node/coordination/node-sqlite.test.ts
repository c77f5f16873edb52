import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { chatSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

chatSuites(() => Promise.resolve(new LocalHost(openNodeSqlite)));
