#!/bin/sh
# A certificate for development: an authority of one's own, and a server's certificate by it.
# certificates.sh FOLDER NAME...: names and addresses of the server. What is there is kept; the
# server's is made anew.
set -eu
umask 077
folder=$1
shift
mkdir -p "$folder"
cd "$folder"
names=
for name in "$@"; do
  case $name in
    *:* | *[0-9].[0-9]*.[0-9]*.[0-9]*) kind=IP ;;
    *) kind=DNS ;;
  esac
  names="$names${names:+,}$kind:$name"
done
if [ ! -f authority-key.pem ]; then
  openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 3650 \
    -subj "/CN=policy server development authority $(date +%F)" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout authority-key.pem -out authority.pem 2>/dev/null
fi
openssl req -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj "/CN=$1" \
  -keyout key.pem.new -out request.pem 2>/dev/null
cat >extensions.cnf <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$names
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
END
openssl x509 -req -in request.pem -CA authority.pem -CAkey authority-key.pem -days 397 \
  -set_serial "0x$(openssl rand -hex 16)" -extfile extensions.cnf -out certificate.pem 2>/dev/null
cat certificate.pem authority.pem >fullchain.pem
mv key.pem.new key.pem
rm request.pem extensions.cnf certificate.pem
chmod 600 key.pem authority-key.pem
chmod 644 fullchain.pem authority.pem
echo "$folder: fullchain.pem and key.pem for the server, authority.pem for its clients ($names)"
