// Decides by the network of a version, and holds it to the golden cases: README.md says how to
// compile it. Run it in the folder of the package.
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <onnxruntime_cxx_api.h>

#include "policy.h"

using Outputs = std::array<policy_output, POLICY_OUTPUTS>;
using Action = std::array<double, POLICY_ACTIONS>;

// The network, which decides on features.
class Network {
public:
    Network() : session_(environment_, ORT_TSTR(POLICY_NETWORK), options()) {}

    Outputs run(std::vector<policy_input> &features)
    {
        const char *inputs[] = { POLICY_INPUT }, *outputs[] = { POLICY_OUTPUT };
        const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        const auto given = Ort::Value::CreateTensor<policy_input>(
            memory, features.data(), features.size(), policy_shape, POLICY_RANK);
        const auto found = session_.Run(Ort::RunOptions{ nullptr }, inputs, &given, 1, outputs, 1);
        if (found[0].GetTensorTypeAndShapeInfo().GetElementCount() != POLICY_OUTPUTS)
            throw std::runtime_error("The network is another one than policy.h was made for.");
        const auto *numbers = found[0].GetTensorData<policy_output>();
        Outputs copied;
        for (std::size_t i = 0; i < copied.size(); i++)
            copied[i] = numbers[i];
        return copied;
    }

private:
    static Ort::SessionOptions options()
    {
        Ort::SessionOptions made;
        made.SetIntraOpNumThreads(1);
        return made;
    }

    Ort::Env environment_{ ORT_LOGGING_LEVEL_WARNING, "policy" };
    Ort::Session session_;
};

// The numbers of golden.txt, one after the other.
class Golden {
public:
    Golden() : file_("golden.txt")
    {
        if (!file_)
            throw std::runtime_error(
                "There is no golden.txt: run this in the folder of the package.");
    }

    double next()
    {
        std::string word;
        if (!(file_ >> word))
            throw std::runtime_error("golden.txt is cut.");
        return std::strtod(word.c_str(), nullptr);
    }

private:
    std::ifstream file_;
};

void print(std::size_t number, const Action &action)
{
    std::cout << "case " << number << ":";
    for (std::size_t i = 0; i < action.size(); i++) {
        const char *meaning = policy_meaning(i, action[i]);
        std::cout << " " << policy_action[i].name << " = " << policy_value(i, action[i]);
        if (meaning != nullptr)
            std::cout << " (" << meaning << ")";
    }
    std::cout << "\n";
}

// Asks one golden case; tells whether all is as it should be.
bool agrees(Network &network, Golden &golden, std::size_t number)
{
    std::vector<double> numbers(POLICY_FEATURES);
    std::vector<policy_input> features(POLICY_FEATURES);
    Action action;
    for (double &each : numbers)
        each = golden.next();
    policy_features(numbers.data(), features.data());
    const Outputs outputs = network.run(features);
    if (policy_decide(outputs.data(), action.data()) != 0)
        throw std::runtime_error("No action follows from what the network gave.");
    bool right = true;
    for (const policy_output each : outputs)
        right &= policy_close(golden.next(), static_cast<double>(each)) != 0;
    for (std::size_t i = 0; i < action.size(); i++)
        right &= policy_agrees(i, outputs.data(), golden.next(), action[i]) != 0;
    print(number, action);
    return right;
}

int main()
{
    try {
        Network network;
        Golden golden;
        const auto cases = static_cast<std::size_t>(golden.next());
        if (golden.next() != POLICY_FEATURES || golden.next() != POLICY_OUTPUTS ||
            golden.next() != POLICY_ACTIONS)
            throw std::runtime_error("golden.txt is of another version than policy.h.");
        std::size_t right = 0;
        for (std::size_t number = 0; number < cases; number++)
            right += agrees(network, golden, number) ? 1 : 0;
        std::cout << "version " << POLICY_VERSION << ": " << right << " of " << cases
                  << " golden cases agree\n";
        return right == cases ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
