import { claimDriver } from "#src/store/driver.ts";

// Many files of tests share a process, and a process uses one SQLite build only [ST9]: a file that opens the other one fails here whatever has run before it.
claimDriver("better-sqlite3");
