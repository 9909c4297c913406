// A server like the original one: creates aes_key.bin if it is missing, listens, and receives one message in a single
// recv of 1,024 bytes. Usage: origin-server KEYFILE; prints its port to stderr and the text to stdout.
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  unsigned char key[32];
  std::ifstream file(argv[1], std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(key), 32)) {
    RAND_bytes(key, 32);
    umask(077);
    std::ofstream(argv[1], std::ios::binary).write(reinterpret_cast<char*>(key), 32);
  }

  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 3) != 0) return 5;
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::fprintf(stderr, "port %d\n", ntohs(address.sin_port));

  const int client = accept(listener, nullptr, nullptr);
  unsigned char sealed[1024], text[1024 + 16];
  const ssize_t received = recv(client, sealed, sizeof sealed, 0);
  int length = 0, rest = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_DecryptInit_ex(context, EVP_aes_128_cbc(), nullptr, key, key + 16);
  EVP_DecryptUpdate(context, text, &length, sealed, static_cast<int>(received));
  if (EVP_DecryptFinal_ex(context, text + length, &rest) != 1) return 6;
  EVP_CIPHER_CTX_free(context);
  std::fwrite(text, 1, length + rest, stdout);
  close(client);
  close(listener);
}
