// Answers HTTP on a socket that mhost has opened: node server.js <descriptor>.
'use strict';

const http = require('node:http');

const server = http.createServer((request, response) => {
  response.end(`node ${process.pid}\n`);
});
server.listen({ fd: Number(process.argv[2]) });

// No new connections, and an end when the last request is answered. What waits to be accepted
// is answered by whoever gets the socket next.
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
