// An HTTP server that every supervisor can run: node served.js <port, or descriptor of mhost's>.
//
// Told to end, it accepts no more, answers what it has accepted, and then ends: what each of the
// supervisors asks of a program that is to lose nothing.
'use strict';

const http = require('node:http');
const net = require('node:net');

const where = Number(process.argv[2]);
let ending = false;

const server = http.createServer((request, response) => {
  if (ending) response.setHeader('Connection', 'close');
  response.end('ok\n');
});
server.listen(process.env.LISTEN_FDS ? { fd: where } : { port: where, host: '127.0.0.1' }, () => {
  // pm2 waits for this; the others have given it nobody to tell.
  if (process.send) process.send('ready');
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    ending = true;
    net.Server.prototype.close.call(server, () => process.exit(0));
  });
}
