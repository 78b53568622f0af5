// The servers of the farm: how each starts, and one harmless call whose answer is always the same. Tokens are
// made up, and a call that would need the network has an argument that its server refuses first.
//
//   package    of npm; `bin` picks one of several programs
//   args, env  as its own page says; {state} is a folder of the server's own
//   call       [tool, arguments], asked as the first thing after tools/list
//   stateful   true: it keeps what one client did in its process, so it is asked in sessions alone

export const servers = [
  { package: '@modelcontextprotocol/server-everything', call: ['get-sum', { a: 2, b: 40 }] },
  { package: '@modelcontextprotocol/server-filesystem', args: ['{state}'],
    call: ['list_allowed_directories', {}] },
  { package: '@modelcontextprotocol/server-memory', env: { MEMORY_FILE_PATH: '{state}/memory.jsonl' },
    call: ['read_graph', {}] },
  { package: '@modelcontextprotocol/server-sequential-thinking', stateful: true, call: ['sequentialthinking',
    { thought: 'one', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 }] },
  { package: '@modelcontextprotocol/server-github', call: ['get_issue', {}] },
  { package: '@upstash/context7-mcp', call: ['resolve-library-id', {}] },
  { package: '@bytebase/dbhub', args: ['--transport', 'stdio', '--dsn', 'sqlite://{state}/farm.db'],
    call: ['execute_sql', { sql: 'SELECT 6 * 7 AS answer' }] },
  { package: 'mongodb-mcp-server', env: { MDB_MCP_TELEMETRY: 'disabled' },
    call: ['list-knowledge-sources', { x: 1 }] },
  { package: '@angular/cli', args: ['mcp'], call: ['get_best_practices', {}] },
  { package: '@playwright/mcp', call: ['browser_press_key', {}] },
  { package: 'chrome-devtools-mcp', call: ['press_key', {}] },
  { package: '@wonderwhy-er/desktop-commander', bin: 'desktop-commander', call: ['get_file_info', {}] },
  { package: '@eslint/mcp', call: ['lint-files', {}] },
  { package: '@notionhq/notion-mcp-server', env: { NOTION_TOKEN: 'ntn_none' }, call: ['no-such-tool', {}] },
  { package: 'figma-developer-mcp', args: ['--stdio', '--figma-api-key=none'], call: ['get_figma_data', {}] },
  { package: 'tavily-mcp', env: { TAVILY_API_KEY: 'none' }, call: ['no_such_tool', {}] },
  { package: 'firecrawl-mcp', env: { FIRECRAWL_API_KEY: 'none' }, call: ['firecrawl_scrape', {}] },
  { package: '@drawio/mcp', call: ['open_drawio_xml', {}] },
  { package: 'mcp-hello-world', call: ['echo', { message: 'hello' }] },
  { package: '@brave/brave-search-mcp-server', args: ['--transport', 'stdio', '--brave-api-key', 'none'],
    call: ['brave_web_search', {}] },
  { package: 'exa-mcp-server', call: ['web_search_exa', {}] },
  { package: 'mcp-server-code-runner',
    call: ['run-code', { code: 'console.log(6 * 7)', languageId: 'javascript' }] },
  { package: '@shortcut/mcp', env: { SHORTCUT_API_TOKEN: 'none' }, call: ['stories-get-by-id', {}] },
  { package: '@browsermcp/mcp', call: ['browser_wait', {}] },
  { package: '@negokaz/excel-mcp-server',
    call: ['excel_describe_sheets', { fileAbsolutePath: '/nowhere/a.xlsx' }] },
  { package: '@coo-quack/calc-mcp', call: ['math', { expression: '6 * 7' }] },
  { package: '@cyanheads/git-mcp-server', call: ['git_status', { path: '/nowhere' }] },
  { package: '@kazuph/mcp-taskmanager', stateful: true, env: { TASK_MANAGER_FILE_PATH: '{state}/tasks.json' },
    call: ['list_requests', {}] },
  { package: '@mcp-z/mcp-pdf', call: ['no-such-tool', {}] },
  { package: '@hyperdrive-eng/mcp-nodejs-debugger', stateful: true, call: ['list_breakpoints', {}] },
];
