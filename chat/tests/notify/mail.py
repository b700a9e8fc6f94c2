"""A mail server that says what it was sent, a line of JSON for each mail."""
import asyncio, json, ssl, sys
from email import policy
from email.parser import BytesParser
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, cert, key = sys.argv[1:4]


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = BytesParser(policy=policy.default).parsebytes(envelope.original_content)
        parts = [
            {"type": part.get_content_type(), "text": part.get_content()}
            for part in mail.walk()
            if not part.is_multipart()
        ]
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "type": mail.get_content_type(),
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "parts": parts,
            "defects": [repr(one) for one in mail.defects],
            "tls": session.ssl is not None or mode == "tls",
            "login": session.auth_data.login.decode() if session.auth_data else None,
            "longest": max(len(line) for line in envelope.original_content.split(b"\r\n")),
        }
        print(json.dumps(told), flush=True)
        return "250 taken"


def login(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.password == b"hunter22-mail"
    return AuthResult(success=good, handled=False, auth_data=data)


context = None
if mode != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
options = {"authenticator": login, "auth_require_tls": mode == "starttls"}
if mode == "starttls":
    options.update(tls_context=context, require_starttls=True)


async def main():
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(Handler(), hostname="localhost", **options)
    inner = context if mode == "tls" else None
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=inner)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"port": port}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
