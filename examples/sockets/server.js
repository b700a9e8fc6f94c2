// Answers HTTP on a socket that mhost has opened: node server.js <descriptor>.
//
// On SIGTERM it loses nothing: it accepts no more, answers what it has accepted, and says on each
// connection that this was the last answer. What waits to be accepted is for another copy, or the
// next run.
'use strict';

const http = require('node:http');
const net = require('node:net');

let ending = false;

const server = http.createServer((request, response) => {
  // The next question comes on a new connection.
  if (ending) response.setHeader('Connection', 'close');
  response.end(`node ${process.pid}\n`);
});
server.listen({ fd: Number(process.argv[2]) });

process.on('SIGTERM', () => {
  ending = true;
  // That of http also closes what is idle at this moment, and a request may be under way there.
  // What stays idle is closed after `keepAliveTimeout`, 5 seconds.
  net.Server.prototype.close.call(server, () => process.exit(0));
});
