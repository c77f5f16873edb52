import { openBetterSqlite3 } from "../../src/local-mcp/store/driver-better-sqlite3.ts";
import { storeRules } from "../rules/store.ts";

storeRules(openBetterSqlite3);
